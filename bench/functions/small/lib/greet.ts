/** What the benchmark's function depends on. */
export function greet(name: string): string {
  return `hello, ${name}`;
}
