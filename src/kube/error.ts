/** The API server refused a request, or could not be reached. */
export class KubeError extends Error {
  override readonly name = 'KubeError';
  /** HTTP status; 0 if there was no answer. */
  readonly status: number;
  /** The reason of a `Status` object (`NotFound`, `Conflict`, `Expired`); empty if there is none. */
  readonly reason: string;

  constructor(status: number, reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
    this.reason = reason;
  }
}

/** The API server has forgotten a resourceVersion: the caller has to list again. */
export function isExpired(error: unknown): boolean {
  return error instanceof KubeError && (error.status === 410 || error.reason === 'Expired');
}

/** There was no answer from an API server. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof KubeError && error.status === 0;
}

export function isNotFound(error: unknown): boolean {
  return error instanceof KubeError && error.status === 404;
}

export function isConflict(error: unknown): boolean {
  return error instanceof KubeError && error.status === 409;
}

/**
 * The API server will not take this request, however often it comes: it is not overloaded, nor in trouble.
 */
export function isRefusal(error: unknown): boolean {
  return error instanceof KubeError && [400, 404, 413, 422].includes(error.status);
}
