import { startupSnapshot } from 'node:v8';

/** An executable of the same kind that does nothing: what no code of ours can go below. */
const main = (): void => process.exit(0);

if (startupSnapshot.isBuildingSnapshot()) {
  startupSnapshot.setDeserializeMainFunction(main);
} else {
  main();
}
