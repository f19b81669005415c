/**
 * Where an item stands, as its row says it. The first three are `queued`: `ready` may be leased, `blocked` is due but
 * its key holds it back, `delayed` waits for its moment.
 */
export const PHASE = {
  ready: 0,
  blocked: 1,
  delayed: 2,
  running: 3,
  succeeded: 4,
  dead: 5,
  cancelled: 6,
  /** Found to contradict its checksum; left alone so that it holds up nobody. */
  damaged: 7,
} as const;

/** One of {@link PHASE}. */
export type Phase = (typeof PHASE)[keyof typeof PHASE];

/**
 * `items` is written once per call and `states` at each change, so that no payload is written twice. `states.sort` is
 * what a lane's open items are walked by: minus the priority while due, the moment while delayed, the end of the lease
 * while running; NULL once ended. `states_listed` leaves out what is ready or runs, so that a call that passes through is
 * written into it once; `states_open` lists those. `key_phase` is 0 for queued and never begun, 1 for queued again, 2 for running.
 */
export const QUEUE_SCHEMA: readonly string[] = [
  `CREATE TABLE lanes (
     id INTEGER PRIMARY KEY,
     lane TEXT NOT NULL UNIQUE,
     namespace TEXT NOT NULL
   ) STRICT;

   CREATE TABLE items (
     seq INTEGER PRIMARY KEY,
     content TEXT NOT NULL,
     body BLOB,
     file TEXT,
     checksum INTEGER NOT NULL,
     body_checksum INTEGER NOT NULL
   ) STRICT;

   CREATE TABLE states (
     seq INTEGER PRIMARY KEY,
     id TEXT NOT NULL,
     lane INTEGER NOT NULL,
     priority INTEGER NOT NULL,
     accepted_at INTEGER NOT NULL,
     expires_at INTEGER NOT NULL,
     pin TEXT,
     key TEXT,
     key_order TEXT,
     key_concurrency INTEGER,
     throttle_ms INTEGER,
     debounce_ms INTEGER,
     phase INTEGER NOT NULL,
     sort INTEGER,
     next_at INTEGER,
     ended_at INTEGER,
     begun INTEGER NOT NULL,
     failures INTEGER NOT NULL,
     fence INTEGER NOT NULL,
     owner TEXT,
     started_at INTEGER,
     key_phase INTEGER,
     slot_at INTEGER,
     reason TEXT,
     redriven INTEGER,
     checksum INTEGER NOT NULL
   ) STRICT;
   CREATE UNIQUE INDEX states_by_id ON states (id);
   CREATE INDEX states_listed ON states (lane, phase) WHERE phase <> 0 AND phase <> 3;
   CREATE INDEX states_open ON states (lane, phase, sort) WHERE sort IS NOT NULL;
   CREATE INDEX states_expiring ON states (lane, expires_at) WHERE phase <= 2;
   CREATE INDEX states_ended ON states (phase, ended_at) WHERE ended_at IS NOT NULL;
   CREATE INDEX states_pinned ON states (pin) WHERE pin IS NOT NULL AND sort IS NOT NULL;
   CREATE INDEX states_keyed ON states (lane, key, key_phase) WHERE key_phase IS NOT NULL;
   CREATE INDEX states_blocked ON states (lane, key, sort)
     WHERE phase = 1 AND (key_order = 'none' OR key_phase = 1);
   CREATE INDEX states_of_key ON states (lane, key) WHERE key IS NOT NULL;
   CREATE INDEX states_slots ON states (lane, key) WHERE slot_at IS NOT NULL;

   CREATE TABLE outcomes (
     seq INTEGER PRIMARY KEY,
     attempts TEXT NOT NULL,
     result TEXT,
     body BLOB,
     dead TEXT,
     cancelled TEXT,
     checksum INTEGER NOT NULL
   ) STRICT;

   CREATE TABLE promises (
     lane INTEGER NOT NULL,
     key TEXT NOT NULL,
     digest TEXT NOT NULL,
     until_at INTEGER NOT NULL,
     id TEXT NOT NULL,
     PRIMARY KEY (lane, key)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX promises_ending ON promises (until_at);

   CREATE TABLE files (
     digest TEXT NOT NULL,
     seq INTEGER NOT NULL,
     PRIMARY KEY (digest, seq)
   ) STRICT, WITHOUT ROWID`,
];
