import type { CommandDefinition } from '../core/command.ts';
import { deployCommand } from './function/deploy.ts';
import { describeCommand } from './function/describe.ts';
import { invokeCommand } from './function/invoke.ts';
import { listCommand } from './function/list.ts';
import { logsCommand } from './function/logs.ts';
import { newCommand } from './function/new.ts';
import { removeCommand } from './function/remove.ts';
import { createNamespaceCommand } from './namespace/create.ts';
import { listNamespacesCommand } from './namespace/list.ts';
import { removeNamespaceCommand } from './namespace/remove.ts';
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

/** Every command, in the order `ebb --help` shows them. To add one, define it in a file and add it here. */
export const COMMANDS: readonly CommandDefinition[] = [
  upCommand,
  newCommand,
  deployCommand,
  invokeCommand,
  listCommand,
  describeCommand,
  logsCommand,
  removeCommand,
  rolloutStatusCommand,
  pauseRolloutCommand,
  resumeRolloutCommand,
  promoteRolloutCommand,
  abortRolloutCommand,
  setSecretCommand,
  listSecretsCommand,
  removeSecretCommand,
  createNamespaceCommand,
  listNamespacesCommand,
  removeNamespaceCommand,
  loginCommand,
  doctorCommand,
  simulateCommand,
  versionCommand,
];
