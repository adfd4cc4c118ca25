//! The few messages of TDS that the scripted server reads and writes (MS-TDS, 2.2).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What the client sends.
pub(crate) const BATCH: u8 = 1;
pub(crate) const RPC: u8 = 3;
pub(crate) const LOGIN: u8 = 16;
pub(crate) const PRELOGIN: u8 = 18;
/// What the server answers with.
const RESULT: u8 = 4;

const LAST: u8 = 1;
const HEADER: usize = 8;

/// A parameter, as the client sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parameter {
    Text(String),
    Bytes(Vec<u8>),
    Number(i64),
}

/// A value of an answer.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(&'static str),
    Bytes(Vec<u8>),
    Int(i32),
    BigInt(i64),
    /// None of bytes.
    Null,
}

/// One message: its kind, and the bytes of all its packets.
pub(crate) async fn read_message(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Vec<u8>)> {
    let mut message = Vec::new();
    loop {
        let mut header = [0; HEADER];
        stream.read_exact(&mut header).await?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]])) - HEADER;
        let from = message.len();
        message.resize(from + length, 0);
        stream.read_exact(&mut message[from..]).await?;
        if header[1] & LAST != 0 {
            return Ok((header[0], message));
        }
    }
}

pub(crate) async fn write_message(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    write(stream, RESULT, message).await
}

/// A message of a kind that a server else does not send.
pub(crate) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    kind: u8,
    message: &[u8],
) -> io::Result<()> {
    let mut chunks = message.chunks(4000).peekable();
    while let Some(chunk) = chunks.next() {
        let last = if chunks.peek().is_none() { LAST } else { 0 };
        let [high, low] = ((chunk.len() + HEADER) as u16).to_be_bytes();
        stream.write_all(&[&[kind, last, high, low, 0, 0, 1, 0], chunk].concat()).await?;
    }
    stream.flush().await
}

/// The answer to a prelogin: no encryption, or nothing without.
pub(crate) fn prelogin(is_encrypted: bool) -> Vec<u8> {
    const NOT_SUPPORTED: u8 = 2;
    const REQUIRED: u8 = 3;
    let encryption = if is_encrypted { REQUIRED } else { NOT_SUPPORTED };
    vec![0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 0, 0, 0, 0, encryption]
}

pub(crate) fn login_ack() -> Vec<u8> {
    let mut body = vec![1, 0x74, 0, 0, 4];
    body.extend(b_varchar("scripted"));
    body.extend([16, 0, 0, 0]);
    [token(0xad, &body), done()].concat()
}

pub(crate) fn routing(host: &str, port: u16) -> Vec<u8> {
    let mut value = vec![0];
    value.extend(port.to_le_bytes());
    value.extend(us_varchar(host));
    let mut body = vec![20];
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(value);
    body.extend([0, 0]);
    [token(0xe3, &body), login_ack()].concat()
}

pub(crate) fn error(number: u32, class: u8, message: &str) -> Vec<u8> {
    let mut body = number.to_le_bytes().to_vec();
    body.extend([1, class]);
    body.extend(us_varchar(message));
    body.extend([b_varchar("scripted"), b_varchar("")].concat());
    body.extend(1_u32.to_le_bytes());
    [token(0xaa, &body), done()].concat()
}

/// One result.
pub(crate) fn rows(columns: &[&str], rows: &[Vec<Value>]) -> Vec<u8> {
    let Some(first) = rows.first() else { return done() };
    let mut message = vec![0x81];
    message.extend((columns.len() as u16).to_le_bytes());
    for (name, value) in columns.iter().zip(first) {
        message.extend([0, 0, 0, 0, 1, 0]);
        message.extend(match value {
            Value::Text(_) => vec![0xe7, 0x40, 0x1f, 9, 4, 0xd0, 0, 52],
            Value::Bytes(_) | Value::Null => vec![0xa5, 0x40, 0x1f],
            Value::Int(_) => vec![0x26, 4],
            Value::BigInt(_) => vec![0x26, 8],
        });
        message.extend(b_varchar(name));
    }
    for row in rows {
        message.push(0xd1);
        for value in row {
            message.extend(match value {
                Value::Text(text) => sized(&utf16(text)),
                Value::Bytes(bytes) => sized(bytes),
                Value::Null => vec![0xff, 0xff],
                Value::Int(number) => [&[4], &number.to_le_bytes()[..]].concat(),
                Value::BigInt(number) => [&[8], &number.to_le_bytes()[..]].concat(),
            });
        }
    }
    message.extend(done());
    message
}

/// The text of a batch.
pub(crate) fn batch(message: &[u8]) -> String {
    Reader::after_headers(message).text_of(message.len())
}

/// The statement, the declaration and the values of its parameters, of a call of `sp_executesql`.
pub(crate) fn rpc(message: &[u8]) -> (String, String, Vec<Parameter>) {
    let mut reader = Reader::after_headers(message);
    let (id, procedure) = (reader.u16(), reader.u16());
    assert_eq!((id, procedure), (0xffff, 10), "sp_executesql");
    let _flags = reader.u16();
    let mut parameters = Vec::new();
    while reader.at < message.len() {
        parameters.push(reader.parameter());
    }
    let mut texts = parameters.drain(..2).map(|parameter| match parameter {
        Parameter::Text(text) => text,
        other => panic!("not a text: {other:?}"),
    });
    let (sql, declared) = (texts.next().unwrap(), texts.next().unwrap());
    drop(texts);
    (sql, declared, parameters)
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn after_headers(message: &'a [u8]) -> Self {
        let mut reader = Self { message, at: 0 };
        reader.at = reader.u32() as usize;
        reader
    }

    fn take(&mut self, length: usize) -> &'a [u8] {
        let taken = &self.message[self.at..self.at + length];
        self.at += length;
        taken
    }

    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take(2).try_into().unwrap())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    fn text_of(&mut self, end: usize) -> String {
        text(self.take(end - self.at))
    }

    fn parameter(&mut self) -> Parameter {
        let name = usize::from(self.u8()) * 2;
        self.take(name);
        let _status = self.u8();
        match self.u8() {
            0xe7 => Parameter::Text(text(&self.sized(5))),
            0xa5 => Parameter::Bytes(self.sized(0)),
            0x26 | 0x68 => {
                let _most = self.u8();
                let length = usize::from(self.u8());
                let mut bytes = self.take(length).to_vec();
                bytes.resize(8, 0);
                Parameter::Number(i64::from_le_bytes(bytes.try_into().unwrap()))
            }
            kind => panic!("a parameter of a kind not sent so far: {kind:#x}"),
        }
    }

    /// A value behind its type, of which `rest` more bytes are left.
    fn sized(&mut self, rest: usize) -> Vec<u8> {
        let most = self.u16();
        self.take(rest);
        if most < 0xffff {
            let length = usize::from(self.u16());
            return self.take(length).to_vec();
        }
        self.take(8);
        let mut value = Vec::new();
        loop {
            let length = self.u32() as usize;
            if length == 0 {
                return value;
            }
            value.extend(self.take(length));
        }
    }
}

fn token(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &sized(body)[..]].concat()
}

fn done() -> Vec<u8> {
    let mut done = vec![0xfd];
    done.resize(13, 0);
    done
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_le_bytes()[..], bytes].concat()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn text(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
    String::from_utf16(&units).unwrap()
}

fn b_varchar(text: &str) -> Vec<u8> {
    [&[text.encode_utf16().count() as u8], &utf16(text)[..]].concat()
}

fn us_varchar(text: &str) -> Vec<u8> {
    [&(text.encode_utf16().count() as u16).to_le_bytes()[..], &utf16(text)].concat()
}
