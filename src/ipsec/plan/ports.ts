/**
 * The port number that means every port of its protocol, in protected ports, policy items and selectors. The
 * node cache stores it as 0; an XFRM selector with it says nothing of ports.
 */
export const EVERY_PORT = 0;

export function isEveryPort(port: number | string): boolean {
  return port === EVERY_PORT;
}
