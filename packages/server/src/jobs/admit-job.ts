import type { JobSpec } from '@ebb/contract';
import { EbbError } from '../core/errors.ts';
import type { FunctionRegistry, SecretRegistry } from '../core/ports.ts';
import type { Engine } from '../engines/engine.ts';

/** What {@link createJobAdmission} asks. */
export interface JobAdmissionOptions {
  readonly engine: Pick<Engine, 'name' | 'tasks' | 'resolveImage'>;
  readonly registry: Pick<FunctionRegistry, 'resolve'>;
  readonly secrets: Pick<SecretRegistry, 'has'>;
}

/** Decides whether a job can be run at all. */
export interface JobAdmission {
  /**
   * What the image of a job is now, so that all its tasks run the same. Throws UNSUPPORTED_BY_ENGINE, IMAGE_NOT_FOUND,
   * IMAGE_REFUSED, SECRET_NOT_FOUND, FUNCTION_NOT_FOUND or an ENGINE_ error.
   */
  admit(namespace: string, spec: JobSpec, signal?: AbortSignal): Promise<{ readonly imageDigest?: string }>;
}

/** Makes the admission of jobs. */
export function createJobAdmission({ engine, registry, secrets }: JobAdmissionOptions): JobAdmission {
  return {
    async admit(namespace, spec, signal) {
      if (spec.function !== undefined) {
        const name = spec.function.replace(/[:@].*$/, '');
        if (registry.resolve(namespace, name)) return {};
        throw new EbbError(
          'FUNCTION_NOT_FOUND',
          `there is no function "${name}" in namespace "${namespace}"; "ebb list" shows what is deployed`,
        );
      }
      if (!engine.tasks) {
        throw new EbbError(
          'UNSUPPORTED_BY_ENGINE',
          `the ${engine.name} engine runs no images; use a function for the job, or start the server with --engine docker`,
        );
      }
      for (const secret of spec.secrets) {
        if (await secrets.has(namespace, secret)) continue;
        throw new EbbError('SECRET_NOT_FOUND', `there is no secret "${secret}" in namespace "${namespace}"`);
      }
      return { imageDigest: await engine.resolveImage(spec.image ?? '', signal) };
    },
  };
}
