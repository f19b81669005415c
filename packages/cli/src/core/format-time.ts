/** How long ago a moment was, for people: `12 s ago`, `3 min ago`, `2 d ago`. */
export function formatAge(at: string, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(at)) / 1000));
  if (seconds < 90) return `${seconds} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 129_600) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86_400)} d ago`;
}

/** {@link formatClock}, with the date ahead when that is not today: `2026-05-01 14:03:22`. */
export function formatMoment(atMs: number, nowMs: number): string {
  const date = new Date(atMs);
  if (date.toDateString() === new Date(nowMs).toDateString()) return formatClock(atMs);
  const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, '0'));
  return `${day.join('-')} ${formatClock(atMs)}`;
}

/** The time of day of a moment where the person is: `14:03:22`. */
export function formatClock(atMs: number): string {
  const date = new Date(atMs);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, '0')).join(':');
}
