import { canonicalAddress } from './address.ts';
import { canonicalCidr } from './cidr.ts';

/** Each snapshot brings the same few thousand texts again. */
const MOST_TEXTS = 50_000;

/** `canonicalAddress` of what a Kubernetes object holds: blanks around it are allowed, results are remembered. */
export const rememberedAddress = remembering((text) => canonicalAddress(text.trim()));

/** `canonicalCidr` of what a Kubernetes object holds: blanks around it are allowed, results are remembered. */
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
