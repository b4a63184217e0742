import * as z from 'zod';

/**
 * How many objects the first page of a list has. From the size of each page follows how many the next one may
 * have: objects can have 1.5 MiB each, and a page is in memory as a whole.
 */
export const FIRST_PAGE = 20;
const LARGEST_PAGE = 500;
const PAGE_BYTES = 512 * 1_024;

const metadata = z.object({
  name: z.string(),
  namespace: z.string().optional(),
  resourceVersion: z.string().catch(''),
});
const objectSchema = z.object({ metadata });
export const bookmarkSchema = z.object({ metadata: z.object({ resourceVersion: z.string() }) });
export const pageSchema = z.object({
  items: z.array(z.unknown()).nullish(),
  metadata: z.object({ resourceVersion: z.string().default(''), continue: z.string().optional() }),
});

/** Undefined if the object has no name: an API server has none such. */
export function identityOf(
  raw: unknown,
): { readonly key: string; readonly resourceVersion: string } | undefined {
  const parsed = objectSchema.safeParse(raw);
  if (!parsed.success) {
    return undefined;
  }
  const { name, namespace = '', resourceVersion } = parsed.data.metadata;
  return { key: `${namespace}/${name}`, resourceVersion };
}

/** As many objects as make about PAGE_BYTES, if they are as large as those of the page before. */
export function nextLimit(count: number, bytes: number): number {
  const each = Math.max(1, bytes / Math.max(1, count));
  return Math.max(1, Math.min(LARGEST_PAGE, Math.floor(PAGE_BYTES / each)));
}
