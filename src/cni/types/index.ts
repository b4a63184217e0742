export * from './config.ts';
export * from './result.ts';
export * from './version.ts';
