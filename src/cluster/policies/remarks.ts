import { firstOf } from '../../util/printable.ts';
import type { ObjectProblem } from '../snapshot.ts';

/** What there is to say of the Service of one entry. */
export interface Remarks {
  /** `<namespace>/<service>` */
  readonly of: string;
  /** Specs that mean none of its ports, `<proto>/<port>`. */
  readonly missing: readonly string[];
  /** Sentences, each of another kind than the others. */
  readonly others: readonly { readonly kind: string; readonly message: string }[];
}

/** How many specs a problem names, and Services beside the first one. */
const NAMED = 3;

/**
 * One problem of each kind for an item, however many Services it covers and whatever their owners write: the
 * problems of others have to be seen beside them.
 */
export function problemsOfItem(policy: string, remarks: readonly Remarks[]): ObjectProblem[] {
  const others = Map.groupBy(
    remarks.flatMap((one) => one.others),
    ({ kind }) => kind,
  );
  const messages = [
    ...missingPorts(remarks.filter(({ missing }) => missing.length > 0)),
    ...[...others.values()].map(([first, ...more]) =>
      more.length === 0 ? `${first?.message}` : `${first?.message} (and ${more.length} Services more)`,
    ),
  ];
  return messages.map((message) => ({ where: `IPsecPolicy ${policy}`, message }));
}

function missingPorts(lacking: readonly Remarks[]): string[] {
  const [first, ...more] = lacking;
  if (first === undefined) {
    return [];
  }
  if (more.length === 0) {
    const [spec, ...specs] = first.missing;
    return specs.length === 0
      ? [`PortNotFound: ${spec} is neither a service port nor a target port of ${first.of}`]
      : [
          `PortNotFound: ${firstOf(first.missing, NAMED)} are neither service ports nor target ports of ${first.of}`,
        ];
  }
  const [namespace] = first.of.split('/');
  const bySpec = Map.groupBy(
    lacking.flatMap(({ of, missing }) => missing.map((spec) => ({ of, spec }))),
    ({ spec }) => spec,
  );
  const specs = [...bySpec].slice(0, NAMED).map(([spec, those]) => {
    const services = those.length === 1 ? 'Service' : 'Services';
    const example = those[0]?.of.slice(`${namespace}/`.length);
    return `${those.length} ${services} of ${namespace} ${those.length === 1 ? 'has' : 'have'} no port ${spec}, e.g. ${example}`;
  });
  const rest = bySpec.size > NAMED ? `; and ${bySpec.size - NAMED} ports more` : '';
  return [`PortNotFound: ${specs.join('; ')}${rest}`];
}
