import { get, type IncomingMessage } from 'node:http';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeOnEngines } from '../harness/engines.ts';
import { ROOT, startTestServer, type TestServer } from '../harness/server.ts';

describeOnEngines('the web-app example', (engine) => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startTestServer({ engine });
    await server.ebbOk(['deploy', path.join(ROOT, 'examples/web-app')]);
  });

  afterAll(() => server?.[Symbol.asyncDispose]());

  const url = (rest: string): string => server.functionUrl('web-app', rest);

  /** Logs in through the form and returns the session's cookie. */
  const logIn = async (user: string): Promise<string> => {
    const response = await fetch(url('/login'), {
      method: 'POST',
      body: new URLSearchParams({ user }),
      redirect: 'manual',
    });
    expect(response.status).toBe(303);
    expect(new URL(response.headers.get('location') ?? '', url('/login')).href).toBe(url('/notes'));
    return response.headers.getSetCookie()[0]?.split(';', 1)[0] ?? '';
  };

  const write = async (cookie: string, text: string): Promise<Response> =>
    fetch(url('/notes'), { method: 'POST', headers: { cookie }, body: new URLSearchParams({ text }) });

  test('serves its page, and static files with their types and conditional requests', async () => {
    const page = await fetch(url('/'));
    expect(page.headers.get('content-type')).toContain('text/html');
    expect(await page.text()).toContain('<h1>Notes</h1>');
    const style = await fetch(url('/style.css'));
    expect(style.headers.get('content-type')).toContain('text/css');
    // Not fetch: it says `no-cache` with its own conditions.
    const headers = { 'if-none-match': style.headers.get('etag') ?? '' };
    const again = await new Promise<IncomingMessage>((resolve, reject) => {
      get(url('/style.css'), { headers }, resolve).on('error', reject);
    });
    again.resume();
    expect(again.statusCode).toBe(304);
  });

  test('keeps sessions in cookies', async () => {
    const cookie = await logIn('Ada');
    expect((await write(cookie, 'remember the milk')).status).toBe(201);
    const mine = await (await fetch(url('/notes'), { headers: { cookie } })).json();
    expect(mine).toMatchObject({
      user: 'Ada',
      notes: expect.arrayContaining([{ user: 'Ada', text: 'remember the milk' }]),
    });
    expect(await (await fetch(url('/notes'))).json()).toMatchObject({ user: null });
    expect((await write('', 'nobody wrote this')).status).toBe(403);
  });

  test('passes WebSockets and server-sent events', async () => {
    const events = await fetch(url('/events'));
    const reader = events.body?.pipeThrough(new TextDecoderStream()).getReader();
    const socket = new WebSocket(url('/chat').replace('http', 'ws'));
    const messages: string[] = [];
    const until = async (text: string): Promise<void> => {
      while (!messages.some((message) => message.includes(text))) {
        await new Promise((resolve) => socket.addEventListener('message', resolve, { once: true }));
      }
    };
    socket.addEventListener('message', ({ data }) => messages.push(String(data)));
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('error', reject);
    });
    socket.send('is there anybody?');
    await until('is there anybody?');

    await write(await logIn('Grace'), 'a moth');
    await until('a moth');
    let seen = '';
    while (!seen.includes('a moth')) seen += (await reader?.read())?.value ?? '';
    expect(seen).toContain('event: note\ndata: {"user":"Grace","text":"a moth"}\n\n');

    const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve));
    socket.close(1000, 'done');
    expect(await closed).toMatchObject({ code: 1000, wasClean: true });
    await reader?.cancel();
  });
});
