import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildInitrd } from './initrd.ts';
import { guestKernel } from './kernel.ts';

export interface GuestJob {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** The VM is ended after this. */
  readonly timeoutMs: number;
  /** Leave a shell on the terminal after the job. */
  readonly keep: boolean;
  /** Where the file that the job leaves as `/lab/results.json` goes. */
  readonly results?: string;
}

const QEMU = '/usr/bin/qemu-system-x86_64';

/**
 * Runs a command as root on a Debian kernel in QEMU, with the host's files below it, read-only. Its output comes out here. Returns its
 * exit status; 125 if it never came to that.
 */
export async function runInGuest(job: GuestJob): Promise<number> {
  const kernel = await guestKernel();
  const lab = mkdtempSync(join(tmpdir(), 'trapline-lab-'));
  const initrd = await buildInitrd(kernel, lab);
  writeFileSync(join(lab, 'start'), startScript(job));
  const share = (path: string, tag: string, readonly: boolean): string[] => [
    '-virtfs',
    `local,path=${path},mount_tag=${tag},security_model=none,multidevs=remap${readonly ? ',readonly=on' : ''}`,
  ];
  const args = [
    ...['-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', '3072', '-net', 'none', '-no-reboot'],
    ...['-display', 'none', '-serial', `file:${join(lab, 'console')}`],
    ...['-chardev', `stdio,id=c0,signal=${job.keep ? 'off' : 'on'}`],
    ...['-device', 'virtio-serial-pci', '-device', 'virtconsole,chardev=c0'],
    ...['-kernel', kernel.image, '-initrd', initrd],
    ...['-append', 'console=ttyS0 quiet panic=-1 mitigations=off'],
    ...share('/', 'hostroot', true),
    ...share(kernel.modules, 'modules', true),
    ...share(lab, 'lab', false),
  ];
  await runQemu(args, job);
  const left = join(lab, 'results.json');
  if (job.results !== undefined && existsSync(left)) {
    copyFileSync(left, job.results);
  }
  const status = join(lab, 'status');
  if (!existsSync(status)) {
    process.stderr.write(`the guest did not finish; its console:\n${tail(join(lab, 'console'))}\n`);
    return 125;
  }
  const exitCode = Number(readFileSync(status, 'utf8'));
  if (existsSync(join(lab, 'logs'))) {
    process.stdout.write(`/lab is ${lab} here\n`);
  } else {
    rmSync(lab, { recursive: true });
  }
  return exitCode;
}

function runQemu(args: readonly string[], job: GuestJob): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(QEMU, args, { stdio: [job.keep ? 'inherit' : 'ignore', 'inherit', 'inherit'] });
    const timer = job.keep ? undefined : setTimeout(() => child.kill('SIGKILL'), job.timeoutMs);
    const stop = (): void => void child.kill('SIGKILL');
    process.once('SIGTERM', stop).once('SIGINT', stop);
    child.once('error', reject);
    child.once('close', () => {
      clearTimeout(timer);
      process.off('SIGTERM', stop).off('SIGINT', stop);
      resolve();
    });
  });
}

const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

function startScript({ argv, cwd, env, keep }: GuestJob): string {
  const pairs = Object.entries(env).map(([key, value]) => `export ${key}=${quote(value)}`);
  const shell = 'echo "exit ends the nodes and the machine"; setsid -c sh -i';
  // A server that gets no CPU time for some seconds must not lose what has arrived: that would count as lost on the way.
  return `echo 1 > /proc/sys/kernel/printk
echo 8388608 > /proc/sys/net/core/rmem_max
echo 8388608 > /proc/sys/net/core/rmem_default
echo 20000 > /proc/sys/net/core/netdev_max_backlog
exec < /dev/hvc0 > /dev/hvc0 2>&1
${keep ? 'stty sane' : 'stty raw -echo'}
${pairs.join('\n')}
cd ${quote(cwd)}
${argv.map(quote).join(' ')}
echo $? > /lab/status
${keep ? shell : ''}
sync
echo o > /proc/sysrq-trigger
while :; do :; done
`;
}

function tail(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(-30).join('\n') : '(none)';
}
