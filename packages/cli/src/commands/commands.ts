import type { CommandDefinition } from '../core/command.ts';
import { listAliasesCommand } from './alias/list.ts';
import { removeAliasCommand } from './alias/remove.ts';
import { setAliasCommand } from './alias/set.ts';
import { showAliasCommand } from './alias/show.ts';
import { applyCommand } from './function/apply.ts';
import { deployCommand } from './function/deploy.ts';
import { describeCommand } from './function/describe.ts';
import { diffCommand } from './function/diff.ts';
import { exportCommand } from './function/export.ts';
import { invokeCommand } from './function/invoke.ts';
import { listCommand } from './function/list.ts';
import { logsCommand } from './function/logs.ts';
import { newCommand } from './function/new.ts';
import { removeCommand } from './function/remove.ts';
import { rollbackCommand } from './function/rollback.ts';
import { listDeadLettersCommand } from './dead-letter/list.ts';
import { purgeDeadLettersCommand } from './dead-letter/purge.ts';
import { redriveDeadLettersCommand } from './dead-letter/redrive.ts';
import { showDeadLetterCommand } from './dead-letter/show.ts';
import { cancelInvocationsCommand } from './invocation/cancel.ts';
import { captureInvocationCommand } from './invocation/capture.ts';
import { listInvocationsCommand } from './invocation/list.ts';
import { logsInvocationCommand } from './invocation/logs.ts';
import { replayInvocationCommand } from './invocation/replay.ts';
import { resultInvocationCommand } from './invocation/result.ts';
import { showInvocationCommand } from './invocation/show.ts';
import { waitInvocationCommand } from './invocation/wait.ts';
import { cancelJobCommand, removeJobCommand } from './job/change.ts';
import { importOpenFaasCommand } from './import/openfaas.ts';
import { listJobsCommand } from './job/list.ts';
import { jobLogsCommand } from './job/logs.ts';
import { rerunJobCommand } from './job/rerun.ts';
import { jobResultCommand } from './job/result.ts';
import { runJobCommand } from './job/run.ts';
import { showJobCommand } from './job/show.ts';
import { listTasksCommand } from './job/tasks.ts';
import { createNamespaceCommand } from './namespace/create.ts';
import { limitNamespaceCommand } from './namespace/limits.ts';
import { listNamespacesCommand } from './namespace/list.ts';
import { removeNamespaceCommand } from './namespace/remove.ts';
import { signingKeyCommand } from './namespace/signing-key.ts';
import { listQueuesCommand } from './queue/list.ts';
import { readQueueCommand } from './queue/read.ts';
import { listSecretsCommand } from './secret/list.ts';
import { removeSecretCommand } from './secret/remove.ts';
import { setSecretCommand } from './secret/set.ts';
import {
  abortRolloutCommand,
  pauseRolloutCommand,
  promoteRolloutCommand,
  resumeRolloutCommand,
} from './rollout/change.ts';
import { rolloutStatusCommand } from './rollout/status.ts';
import { doctorCommand } from './server/doctor.ts';
import { loginCommand } from './server/login.ts';
import { simulateCommand } from './server/simulate.ts';
import { upCommand } from './server/up.ts';
import { versionCommand } from './server/version.ts';
import { deleteVersionCommand } from './version/delete.ts';
import { describeVersionCommand } from './version/describe.ts';
import { diffVersionsCommand } from './version/diff.ts';
import { listVersionsCommand } from './version/list.ts';
import { publishVersionCommand } from './version/publish.ts';

/** Every command, in the order `ebb --help` shows them. To add one, define it in a file and add it here. */
export const COMMANDS: readonly CommandDefinition[] = [
  upCommand,
  newCommand,
  deployCommand,
  applyCommand,
  diffCommand,
  exportCommand,
  invokeCommand,
  listCommand,
  describeCommand,
  logsCommand,
  removeCommand,
  listVersionsCommand,
  describeVersionCommand,
  diffVersionsCommand,
  publishVersionCommand,
  deleteVersionCommand,
  rollbackCommand,
  setAliasCommand,
  listAliasesCommand,
  showAliasCommand,
  removeAliasCommand,
  rolloutStatusCommand,
  pauseRolloutCommand,
  resumeRolloutCommand,
  promoteRolloutCommand,
  abortRolloutCommand,
  listInvocationsCommand,
  showInvocationCommand,
  waitInvocationCommand,
  resultInvocationCommand,
  logsInvocationCommand,
  cancelInvocationsCommand,
  replayInvocationCommand,
  captureInvocationCommand,
  listDeadLettersCommand,
  showDeadLetterCommand,
  redriveDeadLettersCommand,
  purgeDeadLettersCommand,
  listQueuesCommand,
  readQueueCommand,
  runJobCommand,
  listJobsCommand,
  showJobCommand,
  listTasksCommand,
  jobLogsCommand,
  jobResultCommand,
  cancelJobCommand,
  rerunJobCommand,
  removeJobCommand,
  setSecretCommand,
  listSecretsCommand,
  removeSecretCommand,
  createNamespaceCommand,
  listNamespacesCommand,
  limitNamespaceCommand,
  signingKeyCommand,
  removeNamespaceCommand,
  importOpenFaasCommand,
  loginCommand,
  doctorCommand,
  simulateCommand,
  versionCommand,
];
