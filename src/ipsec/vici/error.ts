/**
 * - `unreachable`: nobody listens on the socket
 * - `closed`: the session ended while something waited for it
 * - `timeout`, `aborted`: the caller's time limit or signal
 * - `refused`: charon answered `success = no`
 * - `unknown`: charon knows no such command or event
 * - `malformed`: charon's bytes break the protocol, or a reply lacks what its description promises
 * - `too-long`: our bytes do not fit the protocol's length fields
 */
export type ViciReason =
  | 'unreachable'
  | 'closed'
  | 'timeout'
  | 'aborted'
  | 'refused'
  | 'unknown'
  | 'malformed'
  | 'too-long';

export class ViciError extends Error {
  override readonly name = 'ViciError';
  readonly reason: ViciReason;

  constructor(reason: ViciReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** The error for a signal that aborted: `timeout` if it was AbortSignal.timeout. */
export function abortError(what: string, signal: AbortSignal): ViciError {
  const { reason } = signal;
  if (reason instanceof ViciError) {
    return reason;
  }
  return reason instanceof DOMException && reason.name === 'TimeoutError'
    ? new ViciError('timeout', `${what}: no answer in time`)
    : new ViciError('aborted', `${what}: aborted`, { cause: reason });
}
