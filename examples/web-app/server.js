// An ordinary Express application, as it would run anywhere: `node server.js` serves it on PORT. It knows nothing of
// Ebb; the platform uses the http.Server it exports.
'use strict';
const { EventEmitter } = require('node:events');
const http = require('node:http');
const path = require('node:path');
const express = require('express');
const session = require('express-session');
const { WebSocketServer } = require('ws');

const MAX_NOTES = 100;
const notes = [];
const news = new EventEmitter().setMaxListeners(0);

const app = express();
app.disable('x-powered-by');
app.use(express.static(path.join(__dirname, 'public')));
app.use(express.urlencoded({ extended: false, limit: '10kb' }));
app.use(
  session({
    secret: process.env.SESSION_SECRET ?? 'only for trying it out',
    resave: false,
    saveUninitialized: false,
    cookie: { httpOnly: true, sameSite: 'lax' },
  }),
);

app.post('/login', (request, response) => {
  request.session.user = String(request.body.user ?? '').slice(0, 40) || 'somebody';
  // Relative, so that it holds under whatever path the application is mounted.
  response.redirect(303, 'notes');
});

app.get('/notes', (request, response) => {
  response.json({ user: request.session.user ?? null, notes });
});

app.post('/notes', (request, response) => {
  if (!request.session.user) return response.status(403).json({ error: 'log in first' });
  const note = { user: request.session.user, text: String(request.body.text ?? '').slice(0, 1000) };
  notes.push(note);
  if (notes.length > MAX_NOTES) notes.shift();
  news.emit('note', note);
  return response.status(201).json(note);
});

// Server-sent events: every note as it is written.
app.get('/events', (request, response) => {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.write(': welcome\n\n');
  const send = (note) => response.write(`event: note\ndata: ${JSON.stringify(note)}\n\n`);
  news.on('note', send);
  request.on('close', () => news.off('note', send));
});

const server = http.createServer(app);

// A WebSocket that repeats what it is told, and passes on every note.
const sockets = new WebSocketServer({ server, path: '/chat', maxPayload: 64 * 1024 });
sockets.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  const send = (note) => socket.send(JSON.stringify(note));
  news.on('note', send);
  socket.on('close', () => news.off('note', send));
});

module.exports = server;

if (require.main === module) {
  const port = process.env.PORT ?? 3000;
  server.listen(port, () => console.log(`notes on http://localhost:${port}`));
}
