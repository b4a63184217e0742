import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { whyNftFails } from '../../src/agent/nft-works.ts';
import { run } from '../../src/exec/execa.ts';
import {
  type InstallOptions,
  installConflist,
  installExecutable,
  uninstall,
} from '../../src/install/install.ts';
import { DEFAULT_RUN_DIR } from '../../src/rundir/paths.ts';
import { sleep } from '../../src/util/sleep.ts';
import { find, stopSignal } from './process.ts';

export const CNI_BIN_DIR = '/opt/cni/bin';
export const CNI_CONF_DIR = '/etc/cni/net.d';

/** The executable of the plugin lies beside the agent's. */
export const PLUGIN = join(dirname(process.execPath), 'trapline');

interface Folders {
  readonly cniBinDir: string;
  readonly cniConfDir: string;
}

interface Flags extends Folders {
  readonly executable: string;
  readonly runDir: string;
}

interface InstallFlags extends Flags {
  readonly nft: string;
}

export function installOptions({ cniBinDir, cniConfDir, executable, runDir }: Flags): InstallOptions {
  return { executable, binDir: cniBinDir, confDir: cniConfDir, entry: { type: 'trapline', runDir } };
}

const onFolders = (command: Command): Command =>
  command
    .option('--cni-bin-dir <dir>', 'where the runtime looks for plugins', CNI_BIN_DIR)
    .option('--cni-conf-dir <dir>', 'where it looks for conflists', CNI_CONF_DIR);

export function registerInstall(program: Command): void {
  onFolders(program.command('install'))
    .description(
      'put the plugin in place, and into the first conflist, for which it waits; run --cni-conf-dir keeps it there',
    )
    .option('--executable <file>', 'the plugin', PLUGIN)
    .option('--run-dir <dir>', 'as of run', DEFAULT_RUN_DIR)
    .option('--nft <path>', 'nftables, which the node needs', find('nft'))
    .action(async (flags: InstallFlags) => {
      const lacking = await whyNftFails(run, flags.nft);
      if (lacking !== '') {
        process.stderr.write(`${lacking}\n`);
      }
      const options = installOptions(flags);
      const signal = stopSignal();
      installExecutable(options);
      let said = '';
      for (let done = installConflist(options); !signal.aborted; done = installConflist(options)) {
        if (done.kind === 'installed') {
          process.stdout.write(`${done.conflist}: ${done.changed ? 'chained' : 'chained already'}\n`);
          return;
        }
        if (done.reason !== said) {
          said = done.reason;
          process.stderr.write(`waiting: ${said}\n`);
        }
        await sleep(1_000, signal);
      }
    });
  onFolders(program.command('uninstall'))
    .description(
      'take the plugin out of every conflist, then its executable; cleanup removes what is in force',
    )
    .action(({ cniBinDir, cniConfDir }: Folders) => {
      for (const path of uninstall({ binDir: cniBinDir, confDir: cniConfDir })) {
        process.stdout.write(`${path}\n`);
      }
    });
}
