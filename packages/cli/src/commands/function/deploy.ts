import { type CommandContext, defineCommand } from '../../core/command.ts';
import { formatClock } from '../../core/format-time.ts';
import type { Deployed } from '../../deploy/deploy-target.ts';
import { describeDeployed, describeEnded, describeTakeover } from '../../deploy/describe-deployed.ts';
import { SPEC_OPTIONS } from '../../deploy/spec-options.ts';
import { type Target, targetKey } from '../../deploy/target.ts';
import type { watchTargets as WatchTargets } from '../../deploy/watch-targets.ts';
import { SILENT_TASK } from '../../terminal/progress.ts';

/** Deploys functions and waits until they serve; the first that fails ends the command, with `--watch` none does. */
export const deployCommand = defineCommand({
  name: 'function deploy',
  aliases: ['deploy'],
  summary: 'deploy the functions of ebb.yaml, a directory or an image',
  args: [{ name: 'what', summary: 'directories, or names from ebb.yaml; default: all of ebb.yaml', kind: 'many' }],
  options: [
    { flags: '-f, --file <file>', summary: 'another file than ./ebb.yaml' },
    { flags: '-w, --watch', summary: 'deploy again whenever the code changes, until Ctrl-C' },
    {
      flags: '--rollout <strategy>',
      summary: 'how calls move to the new version: all-at-once, linear, canary or blue-green',
    },
    { flags: '--no-install', summary: 'do not install missing dependencies with npm' },
    { flags: '--no-probe', summary: 'do not wait for a first instance before the version serves' },
    { flags: '--no-serve', summary: 'store and prove the version without giving it calls' },
    ...SPEC_OPTIONS,
  ],
  examples: [
    'ebb deploy',
    'ebb deploy ./hello --name hello',
    'ebb deploy --watch',
    'ebb deploy hello --rollout canary',
    'ebb deploy --name web --image registry.example.org/web:1.4 --port 8080',
  ],
  async run(context) {
    const { parameters, output, signal, env, cwd, startTask } = context;
    const [{ selectTargets }, { createUploadMemory, deployTarget }] = await Promise.all([
      import('../../deploy/select-targets.ts'),
      import('../../deploy/deploy-target.ts'),
    ]);
    const targets = await selectTargets(context);
    const { client } = await context.connect();
    const options = {
      client,
      startTask,
      signal,
      env,
      cwd,
      memory: createUploadMemory(),
      install: parameters.flag('install'),
      probe: parameters.flag('probe'),
      serve: parameters.flag('serve'),
    };
    const isWatching = parameters.flag('watch');
    const done: Deployed[] = [];
    const failed = new Set<string>();
    const deployed = Promise.withResolvers<void>();
    // From before the first file is read, so that no change goes unnoticed.
    const watching = isWatching
      ? await startWatching(context, targets, failed, {
          notBefore: deployed.promise,
          select: () => selectTargets(context),
          deploy: (target) => deployTarget(target, { ...options, startTask: () => Promise.resolve(SILENT_TASK) }),
        })
      : undefined;
    for (const target of targets) {
      try {
        const result = await deployTarget(target, options);
        done.push(result);
        if (isWatching) output.resultLine(valueOf(result), () => lineOf(result));
        else if (!output.mode.json) output.result(undefined, () => textOf(result, output.mode.quiet));
        noteEnded(result, context);
      } catch (error) {
        if (error instanceof Error && targets.length > 1) error.message = `${target.ref.name}: ${error.message}`;
        if (!isWatching || signal.aborted) throw error;
        failed.add(targetKey(target));
        context.report(error);
      }
    }
    if (watching) {
      output.note(`Watching ${targets.length === 1 ? 'the function' : `${targets.length} functions`}; Ctrl-C ends it.`);
      deployed.resolve();
      await watching.ended;
    } else if (output.mode.json) output.result(done.map(valueOf), () => undefined);
  },
});

interface WatchActions {
  /** Resolves when the first deploys are over. */
  readonly notBefore: Promise<void>;
  readonly select: () => Promise<readonly Target[]>;
  readonly deploy: (target: Target) => Promise<Deployed>;
}

/**
 * Begins to watch, and deploys what changes until the person stops it; an error is said and the next change is waited
 * for. Resolves once every change is noticed.
 */
async function startWatching(
  context: CommandContext,
  initial: readonly Target[],
  failed: Set<string>,
  actions: WatchActions,
): Promise<{ readonly ended: Promise<void> }> {
  const { watchTargets } = await import('../../deploy/watch-targets.ts');
  return { ended: watch(watchTargets, context, initial, failed, actions) };
}

async function watch(
  watchTargets: typeof WatchTargets,
  context: CommandContext,
  initial: readonly Target[],
  failed: Set<string>,
  actions: WatchActions,
): Promise<void> {
  const { signal } = context;
  let targets = initial;
  let unseen: readonly string[] = [];
  while (!signal.aborted) {
    const round = new AbortController();
    await watchTargets(targets, {
      signal: AbortSignal.any([signal, round.signal]),
      notBefore: actions.notBefore,
      unseen,
      onError: context.report,
      async onChange(changed) {
        try {
          const before = new Map(targets.map((target) => [targetKey(target), JSON.stringify(target)]));
          const places = placesOf(targets);
          targets = await actions.select();
          const due = targets.filter((target) => {
            const key = targetKey(target);
            return changed.has(key) || failed.has(key) || before.get(key) !== JSON.stringify(target);
          });
          let hasRecovered = false;
          for (const target of due) {
            const isDone = await redeploy(target, context, actions);
            if (!isDone) failed.add(targetKey(target));
            else if (failed.delete(targetKey(target))) hasRecovered = true;
          }
          // Other functions, or a directory that was missing before, need other watchers.
          if (hasRecovered || placesOf(targets) !== places) round.abort();
        } catch (error) {
          if (!signal.aborted) context.report(error);
        }
      },
    });
    unseen = targets.map(targetKey);
  }
}

/** Deploys one function and says what came of it; whether it worked. */
async function redeploy(target: Target, context: CommandContext, actions: WatchActions): Promise<boolean> {
  const { output, signal } = context;
  try {
    const deployed = await actions.deploy(target);
    if (deployed.resource.change !== 'unchanged') output.resultLine(valueOf(deployed), () => lineOf(deployed));
    noteEnded(deployed, context);
    return true;
  } catch (error) {
    if (!signal.aborted) context.report(error);
    return false;
  }
}

function noteEnded({ resource }: Deployed, { output }: CommandContext): void {
  const ended = describeEnded(resource);
  if (ended !== undefined) output.note(ended);
}

function placesOf(targets: readonly Target[]): string {
  return JSON.stringify(targets.map(({ ref, codeDir, manifest }) => [ref, codeDir, manifest]));
}

function valueOf(deployed: Deployed) {
  return { ...deployed.resource, url: deployed.url, tookMs: Math.round(deployed.tookMs) };
}

function lineOf({ resource, tookMs }: Deployed): string {
  return `${formatClock(Date.now())} ${describeDeployed(resource)} in ${Math.round(tookMs)} ms`;
}

function textOf({ resource, url, tookMs }: Deployed, isQuiet: boolean): string {
  if (isQuiet) return url;
  const credentials = resource.spec.auth === 'required' ? '-H "Authorization: Bearer $EBB_TOKEN" ' : '';
  const begun = describeTakeover(resource);
  if (begun !== undefined) {
    return `${begun}\n  ${url}\n  ebb rollout status ${resource.name} --follow`;
  }
  if (resource.deployed !== resource.version) {
    return `${resource.name} has version ${resource.deployed} stored (${seconds(tookMs)}); version ${resource.version} still gets the calls\n  ebb alias set ${resource.name} live ${resource.deployed}`;
  }
  const how = resource.change === 'unchanged' ? 'is unchanged' : `is ${resource.state}`;
  return `${resource.name} ${how} (version ${resource.version}, ${seconds(tookMs)})\n  ${url}\n  curl ${credentials}${url}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
