import { type Command, InvalidArgumentError, Option } from 'commander';
import { initCa, issueNode } from './ca.ts';
import { KEY_TYPES, type KeyType } from './crypto.ts';

interface IssueFlags {
  readonly dir: string;
  readonly node: string;
  readonly out: string;
  readonly days: number;
  readonly keyType: KeyType;
}

export function keyTypeOption(): Option {
  return new Option('--key-type <type>', "of the node's key")
    .choices(Object.keys(KEY_TYPES))
    .default('ecdsa-p256');
}

/** Adds `pki init` and `pki issue` to a command line. */
export function registerPki(program: Command): void {
  const pki = program.command('pki').description('a local CA, for the directory source');
  pki
    .command('init')
    .description('make a CA: ca.crt and ca.key')
    .requiredOption('--dir <dir>', 'folder of the CA')
    .option('--days <days>', 'validity', parseDays, 3650)
    .action(async ({ dir, days }: { dir: string; days: number }) => {
      await initCa(dir, { days, now: new Date() });
    });
  pki
    .command('issue')
    .description("make a node's key and certificate: node.key, node.crt, ca.crt")
    .requiredOption('--dir <dir>', 'folder of the CA')
    .requiredOption('--node <name>', 'name of the node')
    .requiredOption('--out <dir>', "the node's folder")
    .option('--days <days>', 'validity', parseDays, 30)
    .addOption(keyTypeOption())
    .action(async ({ dir, node, out, days, keyType }: IssueFlags) => {
      await issueNode({ caFolder: dir, node, outFolder: out, days, keyType, now: new Date() });
    });
}

export function parseDays(text: string): number {
  const days = Number(text);
  if (!Number.isInteger(days) || days < 1 || days > 36_500) {
    throw new InvalidArgumentError('1 to 36500 whole days.');
  }
  return days;
}
