import { z } from 'zod';
import { type NamedFunction, parsePathName } from './parse-namespace.ts';

/** An alert about a function. */
export interface FunctionAlert extends NamedFunction {
  readonly status: 'firing' | 'resolved';
}

/** What Alertmanager posts, as far as it matters here; everything else in it is let be. */
export const alertsSchema = z.object({
  status: z.string().optional(),
  alerts: z
    .array(z.object({ status: z.string().optional(), labels: z.record(z.string(), z.string()).nullish() }))
    .nullish(),
});

/**
 * The alerts about functions in a post of Alertmanager, in order. An alert says whether it fires or the post says it for
 * all; those about no function, or with another status, mean nothing here.
 */
export function parseAlerts(post: z.output<typeof alertsSchema>): readonly FunctionAlert[] {
  return (post.alerts ?? []).flatMap(({ labels, status = post.status }): FunctionAlert[] => {
    const label = labels?.['function_name'] ?? '';
    if (label === '' || (status !== 'firing' && status !== 'resolved')) return [];
    return [{ ...parsePathName(label, undefined), status }];
  });
}
