import { type Command, InvalidArgumentError } from 'commander';
import { initCa, issueNode } from './ca.ts';

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
    .action(async ({ dir, node, out, days }: { dir: string; node: string; out: string; days: number }) => {
      await issueNode({ caFolder: dir, node, outFolder: out, days, now: new Date() });
    });
}

function parseDays(text: string): number {
  const days = Number(text);
  if (!Number.isInteger(days) || days < 1 || days > 36_500) {
    throw new InvalidArgumentError('1 to 36500 whole days.');
  }
  return days;
}
