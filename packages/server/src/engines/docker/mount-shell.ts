import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';

/** The few ways this server uses mount(8). Every method rejects with what the program says when it fails. */
export interface MountShell extends Disposable {
  /** Mounts a directory on itself, so that what is mounted below it later reaches containers that have a part of it. */
  share(directory: string): Promise<void>;
  /** Mounts one directory on another, read-only, without setuid programs and devices. */
  stage(source: string, target: string): Promise<void>;
  /** Mounts what is seen at one directory on another, as it is mounted there. */
  bind(source: string, target: string): Promise<void>;
  unmount(directory: string): Promise<void>;
}

/** Ends each answer of the shell; stands in no message of mount(8). */
const MARK = '\u001e';
const MAX_MESSAGE_CHARS = 4000;

/**
 * Reads `VERB, SOURCE, TARGET` from a line, separated by tabs, and answers with what the program printed, the mark and
 * the exit status. Forking from a small shell takes 1.5 ms; from this process it takes as long again and stops the rest.
 */
const SCRIPT = `
tab=$(printf '\\t')
while IFS="$tab" read -r verb source target; do
  case $verb in
    share) mount --bind -- "$source" "$source" && mount --make-private "$source" && mount --make-shared "$source" ;;
    stage)
      mount -c --bind -- "$source" "$target" && {
        mount -c -o remount,bind,ro,nosuid,nodev -- "$target" || { umount -- "$target"; false; }
      } ;;
    bind) mount -c --bind -- "$source" "$target" ;;
    unmount) umount -- "$source" || umount -l -- "$source" ;;
  esac 2>&1
  printf '\\036%d\\n' $?
done
`;

/** Makes a {@link MountShell}; its process starts with the first use and ends with the server. */
export function createMountShell(): MountShell {
  let child: ChildProcessWithoutNullStreams | undefined;
  let output = '';
  const waiting: PromiseWithResolvers<void>[] = [];

  const take = (chunk: string) => {
    output += chunk;
    for (;;) {
      const end = output.indexOf('\n', output.indexOf(MARK));
      if (!output.includes(MARK) || end === -1) return;
      const [message = '', status = ''] = output.slice(0, end).split(MARK);
      output = output.slice(end + 1);
      const asked = waiting.shift();
      if (status === '0') asked?.resolve();
      else asked?.reject(new Error(message.trim().slice(0, MAX_MESSAGE_CHARS) || `mount ended with ${status}`));
    }
  };
  const start = () => {
    const started = spawn('/bin/sh', ['-c', SCRIPT], {
      // Ctrl+C at a terminal is for the server, which still has to unmount.
      detached: true,
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    });
    const fail = (error: Error) => {
      if (child !== started) return;
      child = undefined;
      output = '';
      for (const asked of waiting.splice(0)) asked.reject(error);
    };
    started.stdout.setEncoding('utf8').on('data', take);
    started.stderr.resume();
    started.stdin.on('error', () => {});
    started.once('error', fail);
    started.once('exit', () => fail(new Error('the shell that mounts has ended')));
    started.unref();
    return started;
  };
  const ask = (verb: string, source: string, target = '-'): Promise<void> => {
    if (/[\t\n]/.test(source + target)) return Promise.reject(new Error(`"${source}" has a tab or a line break`));
    child ??= start();
    const asked = Promise.withResolvers<void>();
    waiting.push(asked);
    child.stdin.write(`${verb}\t${source}\t${target}\n`);
    return asked.promise;
  };

  return {
    share: (directory) => ask('share', directory),
    stage: (source, target) => ask('stage', source, target),
    bind: (source, target) => ask('bind', source, target),
    unmount: (directory) => ask('unmount', directory),
    [Symbol.dispose]() {
      child?.stdin.end();
      child = undefined;
    },
  };
}
