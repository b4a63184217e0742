import type { Step } from './bundle.ts';

/** A step as the ConfigMap keeps it, `<kind> <root> <RFC 3339>`; empty if there is none. */
export function writeStep(step: Step | undefined): string {
  return step === undefined ? '' : `${step.kind} ${step.root} ${new Date(step.since).toISOString()}`;
}

/** What is no step reads as none: then its time begins anew. */
export function parseStep(text: string): Step | undefined {
  const [kind, root = '', time = ''] = text.split(' ');
  const since = Date.parse(time);
  return (kind === 'trust' || kind === 'follow') && !Number.isNaN(since) ? { kind, root, since } : undefined;
}
