/**
 * Types and schemas of the CNI protocol: configuration, results, versions. A package of its own
 * (`@containernetworking-ts/types`), which other plugins could use: it says nothing of Trapline.
 *
 * It imports zod alone, and nothing of the project.
 */
export * from './config.ts';
export * from './result.ts';
export * from './version.ts';
