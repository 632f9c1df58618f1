// A WebRTC peer on werift (TypeScript, no code of ours or of any browser) that calls the bridge by WHIP.
//
// Arguments: folder of the packages, URL, token, file that what it hears is written to. Reads orders in lines of
// JSON from stdin: {"quiet": [base64 …]} is said over and over, {"say": [base64 …]} once, {"press": "5"},
// {"hang_up": true}. Tells in lines of JSON on stdout what happens.
"use strict";

const fs = require("fs");
const path = require("path");
const readline = require("readline");

const [folder, url, token, heard] = process.argv.slice(2);
const werift = require("module").createRequire(path.join(folder, "package.json"))("werift");
const { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters, RtpHeader, RtpPacket } = werift;

const FRAME_MS = 20;
const FRAME_TICKS = 960;
const KEY_FRAMES = 5;
const KEYS = "0123456789*#ABCD";

const tell = told => process.stdout.write(JSON.stringify(told) + "\n");

const codec = (mimeType, clockRate, channels, payloadType, parameters) =>
  new RTCRtpCodecParameters({ mimeType, clockRate, channels, payloadType, parameters });
const peer = new RTCPeerConnection({
  iceServers: [],
  iceAdditionalHostAddresses: ["127.0.0.1"],
  codecs: {
    audio: [
      codec("audio/opus", 48000, 2, 111, "minptime=10;useinbandfec=1"),
      codec("audio/telephone-event", 48000, undefined, 110, "0-15"),
    ],
  },
});

let quiet = [];
const waiting = []; // packets of speech that are still to be said
const pressing = []; // packets of telephone events (RFC 4733), which replace the sound
let frames = 0;
let place = "";

const sound = fs.createWriteStream(heard);
const transceiver = peer.addTransceiver(new MediaStreamTrack({ kind: "audio" }), { direction: "sendrecv" });
transceiver.onTrack.subscribe(track => track.onReceiveRtp.subscribe(keep));
peer.connectionStateChange.subscribe(state => {
  tell({ state });
  if (state === "connected") setInterval(talk, FRAME_MS / 4, performance.now());
});

function keep(packet) {
  const head = Buffer.alloc(4);
  head.writeUInt16BE(packet.header.sequenceNumber, 0);
  head.writeUInt16BE(packet.payload.length, 2);
  sound.write(Buffer.concat([head, packet.payload]));
}

function talk(began) {
  for (; frames * FRAME_MS <= performance.now() - began; frames++) {
    const event = pressing.shift();
    const payload = event ? event.payload : waiting.shift() ?? quiet[frames % quiet.length];
    const timestamp = (event ? event.began : frames) * FRAME_TICKS;
    send(event ? keys() : sounds(), payload, timestamp, Boolean(event && event.isFirst));
  }
}

const sounds = () => agreed("audio/opus");
const keys = () => agreed("audio/telephone-event");
const agreed = name => transceiver.codecs.find(each => each.mimeType.toLowerCase() === name);

function send(codec, payload, timestamp, marker) {
  const sender = transceiver.sender;
  sender.codec = codec; // a sender has one payload type at a time, and looks at it before it waits for anything
  sender.sendRtp(new RtpPacket(new RtpHeader({ sequenceNumber: frames & 0xffff, timestamp, marker }), payload));
}

function press(key) {
  for (let at = 0; at < KEY_FRAMES + 2; at++) {
    const payload = Buffer.alloc(4);
    payload.writeUInt8(KEYS.indexOf(key), 0);
    payload.writeUInt8((at >= KEY_FRAMES - 1 ? 0x80 : 0) | 10, 1);
    payload.writeUInt16BE(FRAME_TICKS * Math.min(at + 1, KEY_FRAMES), 2);
    pressing.push({ payload, began: frames, isFirst: at === 0 });
  }
}

async function call() {
  await peer.setLocalDescription(await peer.createOffer());
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/sdp" };
  const answer = await fetch(url, { method: "POST", headers, body: peer.localDescription.sdp });
  const sdp = await answer.text();
  place = new URL(answer.headers.get("Location") ?? "", url).href;
  tell({ status: answer.status, sdp });
  if (answer.status === 201) await peer.setRemoteDescription({ type: "answer", sdp });
}

async function hangUp() {
  const answer = await fetch(place, { method: "DELETE", headers: { Authorization: `Bearer ${token}` } });
  tell({ hung_up: answer.status });
  await peer.close();
  sound.end(() => process.exit(0));
}

const unpacked = packets => packets.map(each => Buffer.from(each, "base64"));
readline.createInterface({ input: process.stdin }).on("line", line => {
  const order = JSON.parse(line);
  if (order.quiet) {
    quiet = unpacked(order.quiet);
    call().catch(error => tell({ error: String(error) }));
  }
  if (order.say) waiting.push(...unpacked(order.say));
  if (order.press) press(order.press);
  if (order.hang_up) hangUp();
});
