import { randomUUID } from 'node:crypto';
import { type AliasSpec, parseDurationMs, sharesOf, versionsOf } from '@ebb/contract';
import type { Route } from './route.ts';
import { type CallFacts, createPick, createSides, SIDE_COOKIE } from './traffic/choose-side.ts';

/** What a call of an alias comes to. */
export interface Choice {
  readonly route: Route;
  /** `Set-Cookie` of the first answer to a client that is to stay on its side. */
  readonly cookie?: string | undefined;
  /** Where a copy of the call goes. */
  readonly shadow?: Route | undefined;
}

/** A choice between versions. */
export interface Fork {
  readonly kind: 'fork';
  /** What the alias says. */
  readonly spec: AliasSpec;
  /** Whether any of the versions asks for credentials. */
  readonly authRequired: boolean;
  /** Chooses for one call, which is one turn; `mount` is the part of its path that names the function. */
  choose(facts: CallFacts, mount: string): Choice;
}

/**
 * What an alias means: one version, or a fork where a call has to be looked at or turns are to be taken. `routes` has
 * those of all versions that serve, `matched` those for the calls of testers; undefined when one that gets calls is
 * missing.
 */
export function targetOf(
  spec: AliasSpec,
  routes: ReadonlyMap<number, Route>,
  matched: ReadonlyMap<number, Route> = routes,
): Route | Fork | undefined {
  const shares = sharesOf(spec.versions) ?? [];
  const first = routes.get(shares[0]?.version ?? 0);
  if (!first || [...versionsOf(spec)].some((version) => !routes.has(version))) return undefined;
  if (shares.length === 1 && spec.match.length === 0 && !spec.shadow) return first;
  return createFork(spec, routes, matched, first);
}

function createFork(
  spec: AliasSpec,
  routes: ReadonlyMap<number, Route>,
  matched: ReadonlyMap<number, Route>,
  first: Route,
): Fork {
  const choose = createSides({ spec, salt: first.label, draw: randomUUID });
  const { sticky } = spec;
  const attributes = `Max-Age=${Math.floor((parseDurationMs(sticky?.maxAge ?? 0) ?? 0) / 1000)}; HttpOnly; SameSite=Lax`;
  const shares = sharesOf(spec.versions) ?? [];
  // A version with calls of its own gets no copies: they would take its slots.
  const isServing = shares.some(({ version }) => version === spec.shadow?.version);
  const shadow = spec.shadow && !isServing ? routes.get(spec.shadow.version) : undefined;
  const isPicked = createPick(spec.shadow?.percent ?? 0);
  const choicesOf = (all: ReadonlyMap<number, Route>) =>
    new Map([...all].map(([version, route]): [number, Choice] => [version, { route }]));
  const choices = choicesOf(routes);
  const testers = choicesOf(matched);
  const served = [...versionsOf({ ...spec, shadow: undefined })];
  return {
    kind: 'fork',
    spec,
    authRequired: served.some((version) => routes.get(version)?.authRequired === true),
    choose(facts, mount) {
      const chosen = choose?.(facts);
      const side = chosen?.isMatched === true ? testers : choices;
      const choice = side.get(chosen?.version ?? 0) ?? { route: first };
      // Nothing is learnt from testers' calls, and nothing from comparing a version with itself.
      const isShadowed = shadow !== undefined && chosen?.isMatched === false && choice.route !== shadow && isPicked();
      if (!isShadowed && chosen?.newId === undefined) return choice;
      return {
        route: choice.route,
        cookie:
          chosen?.newId === undefined
            ? undefined
            : `${sticky?.name ?? SIDE_COOKIE}=${chosen.newId}; Path=${mount}; ${attributes}`,
        shadow: isShadowed ? shadow : undefined,
      };
    },
  };
}
