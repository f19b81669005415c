import { appendFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { INVOCATION_STATES, type InvocationResource, type SubmitCallInput } from '@ebb/contract';
import { ROOT, type TestServer } from './server.ts';

const RECORDER = path.join(ROOT, 'testing/fixtures/recorder');
const ENDED: readonly string[] = INVOCATION_STATES.slice(2);

/** What the function itself wrote down of an attempt. */
export interface Seen {
  readonly id: string;
  readonly attempt: number;
  readonly step: 'begun' | 'answered' | 'failed' | 'aborted';
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
}

/** Records every submit that was accepted, every attempt the function saw, and every outcome; then checks what holds. */
export interface History {
  /** Ids that were accepted with 202, in order. */
  readonly accepted: readonly string[];
  /** Submits a call; undefined when nobody said that it is accepted. */
  submit(call: Partial<SubmitCallInput>): Promise<string | undefined>;
  /** What the function saw until now. */
  seen(): Promise<readonly Seen[]>;
  /** Waits until every accepted call has ended, and returns them. Throws after `limitMs`. */
  settled(limitMs?: number): Promise<readonly InvocationResource[]>;
  /** What is wrong with the history: empty when all of A1 to A4 hold. All calls must have ended. */
  violations(): Promise<readonly string[]>;
}

/** Deploys the function that records, with `spec` in its manifest, and begins a history of its calls. */
export async function startHistory(server: TestServer, name: string, spec: object = {}): Promise<History> {
  const file = path.join(server.dataDir, `${name}.jsonl`);
  await appendFile(file, '');
  const manifest = path.join(server.dataDir, `${name}.yaml`);
  const functions = { [name]: { runtime: 'node', code: RECORDER, env: { RECORD_FILE: file }, ...spec } };
  // YAML takes JSON as it is.
  await writeFile(manifest, JSON.stringify({ functions }));
  await server.ebbOk(['apply', '-f', manifest]);

  const accepted: string[] = [];
  const seen = async (): Promise<readonly Seen[]> => {
    const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line) as Seen);
  };
  const outcomes = async () => Promise.all(accepted.map((id) => server.client.invocations.get(id)));
  return {
    accepted,
    seen,
    async submit(call) {
      try {
        const { id } = await server.client.invocations.submit({ function: name, ...call });
        accepted.push(id);
        return id;
      } catch {
        // It may or may not have been accepted; nobody was told so.
        return undefined;
      }
    },
    async settled(limitMs = 20_000) {
      const until = performance.now() + limitMs;
      for (;;) {
        const found = await outcomes();
        const open = found.filter(({ state }) => !ENDED.includes(state));
        if (open.length === 0) return found;
        if (performance.now() > until) throw new Error(`these have not ended: ${JSON.stringify(open.slice(0, 3))}`);
        await sleep(50);
      }
    },
    async violations() {
      const attempts = Map.groupBy(await seen(), ({ id }) => id);
      return (await outcomes()).flatMap((one) => violationsOf(one, attempts.get(one.id) ?? []));
    },
  };
}

/** Checks one call: what its record says against what the function saw. */
export function violationsOf(call: InvocationResource, seen: readonly Seen[]): string[] {
  const wrong: string[] = [];
  const say = (what: string) => wrong.push(`${call.id} (${call.state}): ${what}`);
  if (!ENDED.includes(call.state)) say('A2: it has not ended');
  const begun = seen.filter(({ step }) => step === 'begun').map(({ attempt }) => attempt);
  if (new Set(begun).size < begun.length) say(`A3: an attempt was made twice under one number: ${begun.join(', ')}`);
  if (begun.some((attempt, i) => attempt <= (begun[i - 1] ?? 0))) say(`A3: numbers go back: ${begun.join(', ')}`);
  const numbers = call.attempts.map(({ number }) => number);
  if (numbers.some((number, i) => number <= (numbers[i - 1] ?? 0))) say(`A3: records go back: ${numbers.join(', ')}`);
  for (const attempt of begun) if (!numbers.includes(attempt)) say(`A3: attempt ${attempt} is in no record`);
  const ends = call.attempts.map(({ end }) => end);
  const succeeded = ends.filter((end) => end === 'succeeded').length;
  if (succeeded > 1) say('A2: it succeeded twice');
  if ((call.state === 'succeeded') !== (succeeded === 1)) say(`A2: its attempts say otherwise: ${ends.join(', ')}`);
  if (succeeded === 1 && ends.at(-1) !== 'succeeded') say('A4: something was settled after it had succeeded');
  if (call.state === 'succeeded' && !seen.some(({ step }) => step === 'answered')) say('it never was at its function');
  // Whatever was made again although it was answered is a duplicate that is known: its attempt was lost.
  const answered = seen.filter(({ step }) => step === 'answered').map(({ attempt }) => attempt);
  for (const attempt of answered.slice(0, -1)) {
    const end = call.attempts.find(({ number }) => number === attempt)?.end;
    if (end !== 'lost' && end !== 'platform')
      say(`attempt ${attempt} was answered, ended as ${end}, and was made again`);
  }
  return wrong;
}
