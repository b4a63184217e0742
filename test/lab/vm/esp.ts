import { createNamespace } from '../../helpers/netns/netns.ts';

/** Whether this kernel can do ESP at all: tried in a throwaway namespace. */
export async function hasEsp(): Promise<boolean> {
  const namespace = await createNamespace('esp');
  try {
    const sa = ['src', '192.0.2.1', 'dst', '192.0.2.2', 'proto', 'esp', 'spi', '0x100', 'mode', 'tunnel'];
    await namespace.ip(
      'xfrm',
      'state',
      'add',
      ...sa,
      'aead',
      'rfc4106(gcm(aes))',
      `0x${'11'.repeat(20)}`,
      '128',
    );
    return true;
  } catch {
    return false;
  } finally {
    await namespace.remove();
  }
}
