import type { KubeClient, KubeRequest } from '../../../src/kube/client.ts';
import { KubeError } from '../../../src/kube/error.ts';

interface Stored {
  readonly metadata?: { readonly annotations?: Readonly<Record<string, string | null>> };
  readonly [field: string]: unknown;
}

/** An API server that keeps what is applied, by path. What is posted (Events) it takes and puts into `posted`. */
export function fakeObjects(): KubeClient & {
  readonly objects: Map<string, Stored>;
  readonly posted: unknown[];
} {
  const objects = new Map<string, Stored>();
  const posted: unknown[] = [];
  return {
    objects,
    posted,
    async request({ method = 'GET', path, body, contentType }: KubeRequest): Promise<unknown> {
      const there = objects.get(path);
      if (method === 'POST') {
        posted.push(body);
      } else if (method === 'GET') {
        if (there === undefined) {
          throw new KubeError(404, 'NotFound', 'not there');
        }
      } else if (contentType?.includes('apply') === true) {
        objects.set(path, body as Stored);
      } else {
        const annotations = { ...there?.metadata?.annotations, ...(body as Stored).metadata?.annotations };
        const kept = Object.entries(annotations).filter(([, value]) => value !== null);
        objects.set(path, {
          ...there,
          metadata: { ...there?.metadata, annotations: Object.fromEntries(kept) },
        });
      }
      return objects.get(path);
    },
    async *watch() {},
  };
}
