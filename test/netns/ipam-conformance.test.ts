import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  add,
  callIpamPlugin,
  check,
  del,
  HOST_LOCAL,
  type IpamAnswer,
  type IpamCall,
  ipamFolder,
} from '../helpers/netns/ipam.ts';
import { ipamTest } from '../helpers/netns/ipam-test.ts';

const RESOLV = 'nameserver 10.96.0.10\nsearch a.local b.local\ndomain a.local\noptions ndots:5\n';
const four = (more: object = {}): object => ({ subnet: '10.1.2.0/29', ...more });
const six = (more: object = {}): object => ({ subnet: 'fd00:1:2::/125', ...more });

interface Case {
  readonly ipam: object | undefined;
  readonly more?: object;
  readonly calls?: readonly IpamCall[];
  /** What is better, where the two differ. */
  readonly better?: string;
}
const many = (count: number): IpamCall[] => Array.from({ length: count }, (_, index) => add(`m${index}`));
const ranges = (...sets: object[][]): object => ({ ranges: sets });

/** Each is called with both plugins. Unless `calls` says otherwise: three ADDs, a DEL, two ADDs. */
const CASES: Readonly<Record<string, Case>> = {
  'a subnet': { ipam: four() },
  'a subnet, to its end': { ipam: four(), calls: many(7) },
  'a /30': { ipam: { subnet: '10.1.2.0/30' }, calls: many(3) },
  'a /31': { ipam: { subnet: '10.1.2.0/31' } },
  'a /32': { ipam: { subnet: '10.1.2.1/32' } },
  'a /8': { ipam: { subnet: '10.0.0.0/8' } },
  'a /0': { ipam: { subnet: '0.0.0.0/0' } },
  IPv6: { ipam: six() },
  'IPv6, to its end': { ipam: six(), calls: many(8) },
  'an IPv6 /126': { ipam: { subnet: 'fd00::/126' }, calls: many(4) },
  'an IPv6 /127': { ipam: { subnet: 'fd00::/127' } },
  'an IPv6 /8': { ipam: { subnet: 'fd00::/8' } },
  'IPv6 in another spelling': { ipam: { subnet: 'FD00:0001:0002:0000::/64', gateway: 'FD00:1:2::00FF' } },
  rangeStart: { ipam: four({ rangeStart: '10.1.2.4' }), calls: many(4) },
  rangeEnd: { ipam: four({ rangeEnd: '10.1.2.3' }), calls: many(3) },
  both: { ipam: four({ rangeStart: '10.1.2.3', rangeEnd: '10.1.2.4' }), calls: many(3) },
  'one address': { ipam: four({ rangeStart: '10.1.2.3', rangeEnd: '10.1.2.3' }), calls: many(2) },
  'rangeStart is the network': { ipam: four({ rangeStart: '10.1.2.0' }), calls: many(2) },
  'rangeEnd is the broadcast address': {
    ipam: four({ rangeStart: '10.1.2.6', rangeEnd: '10.1.2.7' }),
    calls: many(3),
  },
  'rangeStart outside': { ipam: four({ rangeStart: '10.1.3.1' }) },
  'rangeEnd outside': { ipam: four({ rangeEnd: '10.1.3.1' }) },
  'rangeEnd before rangeStart': { ipam: four({ rangeStart: '10.1.2.5', rangeEnd: '10.1.2.3' }) },
  'rangeStart of another family': { ipam: four({ rangeStart: 'fd00::1' }) },
  'rangeStart is no address': { ipam: four({ rangeStart: '10.1.2' }) },
  'IPv6 rangeStart and rangeEnd': {
    ipam: six({ rangeStart: 'fd00:1:2::4', rangeEnd: 'fd00:1:2::5' }),
    calls: many(3),
  },
  'a gateway in the middle': { ipam: four({ gateway: '10.1.2.3' }), calls: many(6) },
  'a gateway at the end': { ipam: four({ gateway: '10.1.2.6' }), calls: many(6) },
  'a gateway outside': { ipam: four({ gateway: '10.9.9.9' }), calls: many(7) },
  'a gateway of another family': {
    ipam: four({ gateway: 'fd00::1' }),
    better: 'host-local takes a gateway that no pod could reach',
  },
  'a gateway that is none': { ipam: four({ gateway: 'nobody' }) },
  'host bits': { ipam: { subnet: '10.1.2.3/24' } },
  'IPv6 host bits': { ipam: { subnet: 'fd00::1/64' } },
  'no prefix length': { ipam: { subnet: '10.1.2.0' } },
  'a prefix length too long': { ipam: { subnet: '10.1.2.0/33' } },
  'a subnet that is none': { ipam: { subnet: 'hello' } },
  'a leading zero': { ipam: { subnet: '010.1.2.0/24' } },
  'an empty subnet': { ipam: { subnet: '' } },
  'no ranges': { ipam: {} },
  'an empty list of ranges': { ipam: ranges() },
  'an empty set': { ipam: ranges([]) },
  'no ipam': { ipam: undefined },
  'two ranges in a set': {
    ipam: ranges([four({ rangeStart: '10.1.2.5' }), { subnet: '10.1.4.0/30' }]),
    calls: many(5),
  },
  'two ranges of a subnet': {
    ipam: ranges([four({ rangeEnd: '10.1.2.3' }), four({ rangeStart: '10.1.2.5' })]),
    calls: many(6),
  },
  'two sets': { ipam: ranges([four()], [{ subnet: '10.1.4.0/29' }]) },
  'dual stack': { ipam: ranges([four()], [six()]) },
  'dual stack, one set full': { ipam: ranges([{ subnet: '10.1.2.0/30' }], [six()]), calls: many(3) },
  'two families in a set': { ipam: ranges([four(), six()]) },
  'sets that overlap': { ipam: ranges([four()], [{ subnet: '10.1.0.0/16' }]) },
  'a set that overlaps itself': { ipam: ranges([four(), four()]) },
  'subnet and ranges': { ipam: { ...four(), ranges: [[six()]] } },
  'capability ipRanges': { ipam: { type: 'x' }, more: { runtimeConfig: { ipRanges: [[four()]] } } },
  'capability ipRanges and ranges': {
    ipam: ranges([six()]),
    more: { runtimeConfig: { ipRanges: [[four()]] } },
  },
  'capability ips': { ipam: four(), more: { runtimeConfig: { ips: ['10.1.2.5'] } }, calls: [add('a')] },
  'capability ips with a prefix length': {
    ipam: four(),
    more: { runtimeConfig: { ips: ['10.1.2.5/29'] } },
    calls: [add('a')],
  },
  'args.cni.ips': {
    ipam: ranges([four()], [six()]),
    more: { args: { cni: { ips: ['10.1.2.4', 'fd00:1:2::4'] } } },
    calls: [add('a'), add('b')],
  },
  'args.cni.ips for one of two sets': {
    ipam: ranges([four()], [six()]),
    more: { args: { cni: { ips: ['fd00:1:2::4'] } } },
    calls: [add('a')],
  },
  'IP= of CNI_ARGS': {
    ipam: four(),
    calls: [add('a', { args: 'IP=10.1.2.4' }), add('b', { args: 'IP=10.1.2.4' }), add('c')],
  },
  'IP= is the gateway': { ipam: four(), calls: [add('a', { args: 'IP=10.1.2.1' }), add('b')] },
  'IP= outside': { ipam: four(), calls: [add('a', { args: 'IP=10.9.9.9' }), add('b')] },
  'IP= of another family': { ipam: four(), calls: [add('a', { args: 'IP=fd00::9' }), add('b')] },
  'IP= is none': { ipam: four(), calls: [add('a', { args: 'IP=me' }), add('b')] },
  'two IPs for one set': {
    ipam: four(),
    more: { args: { cni: { ips: ['10.1.2.4', '10.1.2.5'] } } },
    calls: [add('a'), add('b')],
  },
  routes: { ipam: { ...four(), routes: [{ dst: '0.0.0.0/0' }, { dst: '10.0.0.0/8', gw: '10.1.2.6' }] } },
  'a route that is none': { ipam: { ...four(), routes: [{ dst: 'there' }] } },
  'an IPv6 route': { ipam: { ...six(), routes: [{ dst: '::/0', gw: 'fd00:1:2::1' }] } },
  resolvConf: { ipam: { ...four(), resolvConf: 'RESOLV' } },
  'a resolvConf that is not there': { ipam: { ...four(), resolvConf: '/nowhere/resolv.conf' } },
  'twice the same container': {
    ipam: four(),
    calls: [add('a'), add('a'), add('a', { ifName: 'eth1' }), del('a'), add('a')],
  },
  'DEL of nobody': { ipam: four(), calls: [del('a'), add('a'), del('a'), del('a')] },
  'DEL of one interface': {
    ipam: four(),
    calls: [add('a'), add('a', { ifName: 'eth1' }), del('a', { ifName: 'eth1' }), check('a'), add('b')],
  },
  CHECK: { ipam: four(), calls: [check('a'), add('a'), check('a'), del('a'), check('a')] },
  'what was given back is used last': {
    ipam: four(),
    calls: [...many(4), del('m1'), add('x'), add('y'), add('z')],
  },
  'what was given back longest ago is used first': {
    ipam: four(),
    calls: [...many(5), del('m3'), del('m0'), add('x'), add('y')],
    better: 'host-local goes around; the address that was freed first has been free for the longest time',
  },
  'version 0.3.1': { ipam: four(), more: { cniVersion: '0.3.1' } },
  'version 0.4.0, dual stack': { ipam: ranges([four()], [six()]), more: { cniVersion: '0.4.0' } },
  'a version that nobody knows': { ipam: four(), more: { cniVersion: '9.9.9' } },
};

const DEFAULT_CALLS = [add('a'), add('b'), add('c'), del('b'), add('d'), add('e')];

/** What a runtime goes by. host-local has one code, 999, for all that it refuses. */
function essence({ exitCode, json }: IpamAnswer): object {
  if (exitCode !== 0) {
    return { refused: true };
  }
  const { ips, routes = [], dns = {}, cniVersion } = json;
  return { ips, routes, dns, cniVersion };
}

for (const [name, { ipam, more = {}, calls = DEFAULT_CALLS, better }] of Object.entries(CASES)) {
  ipamTest(`like host-local: ${name}`, async (t) => {
    const { base, plugin } = ipamFolder(t);
    const resolv = join(base, 'resolv.conf');
    writeFileSync(resolv, RESOLV);
    const answers = await Promise.all(
      [HOST_LOCAL, plugin].map(async (file, index) => {
        const settings =
          ipam === undefined
            ? {}
            : {
                ipam: {
                  ...(JSON.parse(JSON.stringify(ipam).replace('RESOLV', resolv)) as object),
                  dataDir: join(base, String(index)),
                },
              };
        const config = { cniVersion: '1.0.0', name: 'net', ...settings, ...more };
        const said: IpamAnswer[] = [];
        for (const call of calls) {
          said.push(await callIpamPlugin(file, config, call));
          // Times of files tell which was given back first.
          await sleep(3);
        }
        return said;
      }),
    );
    const [theirs = [], ours = []] = answers;
    if (better === undefined) {
      // DEL and CHECK do not depend on ranges: what is given out must be given back whatever the configuration says now.
      const compared = ours.map((answer, index) => {
        const { verb } = calls[index] ?? {};
        const freed = verb === 'DEL' && theirs[index]?.exitCode !== 0 && answer.exitCode === 0;
        return freed ? { refused: true } : essence(answer);
      });
      t.deepEqual(compared, theirs.map(essence), JSON.stringify(ours.map(({ json }) => json.msg)));
    } else {
      t.notDeepEqual(ours.map(essence), theirs.map(essence), better);
    }
    for (const { exitCode, json } of ours.filter((one) => one.exitCode !== 0)) {
      t.is(exitCode, 1);
      t.true([1, 5, 6, 7, 11, 102, 110, 111].includes(json.code ?? 0), JSON.stringify(json));
    }
  });
}
