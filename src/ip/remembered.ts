import { canonicalAddress } from './address.ts';
import { canonicalCidr } from './cidr.ts';

/** How many texts are remembered. Each snapshot of the cluster brings the same few thousand again. */
const MOST_TEXTS = 50_000;

/**
 * `canonicalAddress` for texts of Kubernetes objects: they may have blanks around, and results are
 * remembered.
 */
export const rememberedAddress = remembering((text) => canonicalAddress(text.trim()));

/**
 * `canonicalCidr` for texts of Kubernetes objects: they may have blanks around, and results are remembered.
 */
export const rememberedCidr = remembering((text) => canonicalCidr(text.trim()));

function remembering(canonical: (text: string) => string | undefined): typeof canonical {
  const byText = new Map<string, string | undefined>();
  return (text) => {
    if (!byText.has(text)) {
      if (byText.size >= MOST_TEXTS) {
        byText.clear();
      }
      byText.set(text, canonical(text));
    }
    return byText.get(text);
  };
}
