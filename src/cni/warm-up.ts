import { spawnSync } from 'node:child_process';
import { attachmentSchema } from '../cache/attachment.ts';
import { heartbeatSchema } from '../cache/heartbeat.ts';
import { nodeCacheSchema } from '../cache/schema.ts';
import { ipamConfigSchema } from '../ipam/config.ts';
import { parseRange } from '../ipam/range.ts';
import { traplineConfigSchema } from './config.ts';

/**
 * Run once while the start-up snapshot is built, so that it holds the compiled schemas and a used `child_process`: what is warm in the
 * snapshot costs nothing in a call. Touches nothing outside.
 */
export function warmUp(): void {
  for (const schema of [traplineConfigSchema, nodeCacheSchema, attachmentSchema, heartbeatSchema]) {
    schema.safeParse({});
  }
  traplineConfigSchema.safeParse({
    cniVersion: '1.0.0',
    name: 'n',
    prevResult: {
      interfaces: [{ name: 'eth0', sandbox: '/n' }],
      ips: [{ address: '10.0.0.1/24', interface: 0 }],
    },
  });
  ipamConfigSchema.safeParse({ ipam: { ranges: [[{ subnet: '10.0.0.0/24' }]] } });
  parseRange({ subnet: '10.0.0.0/24' });
  spawnSync('/bin/true');
}
