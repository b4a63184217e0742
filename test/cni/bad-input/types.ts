/** One call that must be refused. */
export interface BadInput {
  readonly title: string;
  readonly command: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Merged over a good configuration; a string is stdin as it is. */
  readonly config?: Readonly<Record<string, unknown>> | string;
  /** Content of node.json, written as it is. */
  readonly cache?: string;
  readonly code: number;
  /** Field and value. */
  readonly says: RegExp;
}

/** Text as it stands, for a regular expression. */
export function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
