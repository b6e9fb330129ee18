// Who is let in, and with what: the policy is asked and the request bound to it before anything is planned. What is refused
// is written down.

import { usage } from '../config/values.ts';
import { TapioError } from '../errors.ts';
import type { AuditEntry, AuditLog } from './audit.ts';
import type { Bound, Grant } from './grant.ts';
import { type Identity, shownName } from './identity.ts';
import type { Policy } from './policy.ts';
import { type SelectionMessage, selectionOf } from './request.ts';
import type { Watch } from './standing.ts';
import { type ResumePoint, resumePointOf } from './token.ts';

/** Who asks, and from where. */
export interface Caller {
  readonly identity: Identity;
  /** For the audit, as unix:pid=1 or 10.0.0.1:4. */
  readonly address: string;
  /** Tells once it is no longer who it was; absent: it is for as long as its connection. */
  readonly watch?: Watch;
}

export interface AdmissionOptions {
  /** As it stands now. */
  readonly policy: () => Policy;
  readonly audit: Pick<AuditLog, 'begin' | 'denied' | 'failure'>;
  /** ns since 1970. */
  readonly now: () => bigint;
}

/** What is asked for, as far as all requests have it. */
export interface Asked {
  readonly selection?: SelectionMessage | null;
  readonly since?: string;
  readonly until?: string;
}

/** A request that was let in. */
export interface Admitted {
  /** What it was let in by: once another holds, it no longer counts. */
  readonly policy: Policy;
  readonly grant: Grant;
  readonly bound: Bound;
  readonly from: ResumePoint | null;
}

/** ns since 1970 of a field of a request; null where it is absent. Throws TapioError('usage'). */
export function nsOf(name: string, value: string | undefined): bigint | null {
  if (value === undefined) return null;
  const ns = BigInt(value);
  if (ns >= 2n ** 63n) throw usage(`${name} is beyond the year 2262: it is in ns since 1970`);
  return ns;
}

/** What the audit keeps of a request. */
export const entryOf = (
  { identity, address }: Caller,
  method: string,
  request: object,
): AuditEntry => ({
  identity: shownName(identity),
  peer: address,
  method,
  request: request as Readonly<Record<string, unknown>>,
});

export class Admission {
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /**
   * Binds a request to what its caller may see. `measures`: fields by which rows are grouped, or that are added up. Throws
   * TapioError('not_permitted' or 'usage') with a sentence for the client.
   */
  async rows(
    caller: Caller,
    method: string,
    message: Asked,
    token?: string,
    measures: readonly string[] = [],
  ): Promise<Admitted> {
    const policy = this.#options.policy();
    const grant = await this.#grant(policy, caller, method);
    try {
      const [since, until] = [nsOf('since', message.since), nsOf('until', message.until)];
      const from = resumePointOf(token);
      const asked = message.selection ?? {};
      const selection = await selectionOf(asked, since, until);
      const fields = asked.fields === undefined || asked.fields.length === 0 ? null : asked.fields;
      const request = { selection, fields, measures };
      return { policy, grant, bound: grant.bind(request, this.#options.now()), from };
    } catch (error) {
      if (!(error instanceof TapioError)) throw error;
      const entry = entryOf(caller, method, message);
      await this.#options.audit.denied({ ...entry, reason: error.message });
      throw error;
    }
  }

  /** Whether somebody may see what is not rows, such as files and the recorder's own counters. Throws as rows(). */
  async whole(caller: Caller, method: string): Promise<void> {
    const grant = await this.#grant(this.#options.policy(), caller, method);
    if (grant.isUnrestricted) return;
    throw await this.#refuse(caller, method, 'the policy shows only rows to you');
  }

  async #grant(policy: Policy, caller: Caller, method: string): Promise<Grant> {
    const grant = policy.grantFor(caller.identity);
    if (grant !== null) return grant;
    throw await this.#refuse(
      caller,
      method,
      `no policy lets ${shownName(caller.identity)} see anything: ask whoever keeps the recorder’s policy`,
    );
  }

  async #refuse(caller: Caller, method: string, reason: string): Promise<TapioError> {
    await this.#options.audit.denied({ ...entryOf(caller, method, {}), reason });
    return new TapioError('not_permitted', reason);
  }
}
