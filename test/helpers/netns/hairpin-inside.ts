import { createHairpin, removeHairpin } from '../../../src/agent/host/hairpin.ts';
import { run } from '../../../src/exec/execa.ts';
import { seedCache } from '../unit/cache.ts';
import { IP } from './netns.ts';

/**
 * Lays the hairpin in the network namespace that it is started in (`/proc/sys/net` is the reader's own), for peers with the pod CIDRs
 * given as arguments, udp/53 protected; twice over, as the agent would. None: removes it.
 */
const options = { run, ip: IP, nft: '/usr/sbin/nft', sysctlRoot: '/proc/sys' };
const podCidrs = process.argv.slice(2);
if (podCidrs.length === 0) {
  await removeHairpin(options);
} else {
  const [peer] = seedCache().peers;
  const ports = [{ proto: 'udp' as const, port: 53, child: 'udp_dns' }];
  const cache = {
    ...seedCache(),
    peers: peer === undefined ? [] : [{ ...peer, podCidrs }],
    endpoints: [{ address: '10.2.0.9', node: 'b', ports }],
  };
  let now = 0;
  const nothing = (): void => undefined;
  const guard = { mark: nothing, unmark: nothing, onLost: nothing, now: () => now };
  const { keep } = createHairpin(options, guard);
  await keep(cache);
  now = 60_000;
  await keep(cache);
}
