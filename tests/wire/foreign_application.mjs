// The application behind the servers of http2_conformance_figures_test.cpp, over HTTP/1.1 for those that are its proxies, and over HTTP/2
// by itself:
//   node foreign_application.mjs DOCUMENTS PORT HTTP2_PORT KEY CERTIFICATE [restless]
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { constants, createSecureServer } from 'node:http2';
import { pipeline } from 'node:stream';

const [documents, port, http2Port, key, certificate, manner] = process.argv.slice(2);

// How often each issue was created: by the id that its request gives it.
const created = new Map();

function say(response, status, text, type = 'application/json') {
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
    response.end(text);
}

function whole(request, then) {
    const pieces = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => then(Buffer.concat(pieces)));
}

/// Says back what it is told, once it has all of it.
function create(request, response) {
    whole(request, (body) => {
        let id;
        try {
            id = JSON.parse(body).id;
        } catch {
            return say(response, 400, '{"errorMessages":["no JSON"]}');
        }
        created.set(id, (created.get(id) ?? 0) + 1);
        say(response, 201, body.toString());
    });
}

function digest(request, response) {
    const hash = createHash('sha256');
    let bytes = 0;
    request.on('data', (piece) => {
        hash.update(piece);
        bytes += piece.length;
    });
    request.on('end', () => say(response, 200, JSON.stringify({ bytes, sha256: hash.digest('hex') })));
}

/// Says back what it is told, while it is told.
function echo(request, response) {
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    pipeline(request, response, () => {});
}

function document(path, request, response) {
    let size;
    try {
        size = statSync(documents + path).size;
    } catch {
        return say(response, 404, '{"errorMessages":["none"]}');
    }
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': size });
    if (request.method === 'HEAD') return response.end();
    pipeline(createReadStream(documents + path), response, () => {});
}

function answer(request, response) {
    const [path, query = ''] = request.url.split('?');
    const place = `${request.method} ${path.replace(/^\/ex\/jira\/[^/]+\/rest\/api\/3/, '')}`;
    switch (place) {
    case 'GET /search': return say(response, 200, JSON.stringify({ query }));
    case 'GET /issue/created': {
        const twice = [...created.values()].filter((times) => times > 1).length;
        return say(response, 200, `${created.size} ${twice}`, 'text/plain');
    }
    case 'POST /issue': return create(request, response);
    case 'POST /issue/A-1/attachments': return digest(request, response);
    case 'POST /issue/A-1/echo': return echo(request, response);
    // At once, whatever is still to come of the request.
    case 'POST /issue/A-2/attachments': return say(response, 413, '{"errorMessages":["too large"]}');
    case 'DELETE /issue/A-1': return response.writeHead(204).end();
    }
    document(path, request, response);
}

/// What a server may do that few do: word of an answer before it, a head of several frames, trailers.
function answerAtLength(request, response) {
    response.stream.additionalHeaders({ ':status': 103, link: '</style.css>; rel=preload' });
    response.setHeader('x-long', 'long '.repeat(5000));
    if (request.method !== 'HEAD') response.setTrailer('x-ended', 'yes');
    answer(request, response);
}

/// What it may do with a connection: pings, settings that change, and GOAWAY behind some requests.
function neverRest(session) {
    let turn = 0;
    const timer = setInterval(() => {
        ++turn;
        if (session.destroyed) return clearInterval(timer);
        session.ping(() => {});
        session.settings({
            initialWindowSize: [65535, 1000, 1 << 20][turn % 3],
            headerTableSize: [0, 4096][turn % 2],
        });
    }, 50);
    session.on('close', () => clearInterval(timer));
    let streams = 0;
    session.on('stream', () => {
        if (++streams === 100) session.close();
    });
}

const restless = manner === 'restless';
const identity = { key: readFileSync(key), cert: readFileSync(certificate) };
const paddingStrategy = restless ? constants.PADDING_STRATEGY_MAX : constants.PADDING_STRATEGY_NONE;
createServer(answer).listen(port, '127.0.0.1');
const server = createSecureServer({ ...identity, paddingStrategy }, restless ? answerAtLength : answer);
if (restless) server.on('session', neverRest);
server.listen(http2Port, '127.0.0.1');
