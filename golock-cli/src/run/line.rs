//! The line between golock and its watchdog: a pair of sockets, of which each end sees the other one die.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;

use rustix::io::FdFlags;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use super::moment::Moment;

/// What golock tells its watchdog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The lease can be relied on until then.
    Until(Moment),
    /// I know the group: the command may begin.
    Begin,
    /// End the command now, kill it then.
    End(Moment),
    /// Pass this signal on.
    Signal(i32),
}

/// What the watchdog tells golock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// The group that the command will run in. It waits for [`Order::Begin`].
    Group(i32),
    /// The command has ended, and all that it left in its group; with this exit code, and whether the watchdog had
    /// to end it.
    Ended { code: u8, by_us: bool },
}

/// One end of the line. Messages have one size, and are small enough to be written at once.
pub(super) struct Line {
    stream: UnixStream,
    received: Vec<u8>,
}

/// A byte that says what it is, and a number.
type Record = [u8; 9];

impl Line {
    /// # Errors
    /// The system's.
    pub(super) fn over(stream: StdStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream: UnixStream::from_std(stream)?, received: Vec::new() })
    }

    /// Never waits: an end that has stopped to listen is told nothing more.
    ///
    /// # Errors
    /// The other end is gone, or does not listen.
    pub(super) fn tell(&self, message: impl Into<Record>) -> io::Result<()> {
        let record: Record = message.into();
        // Not by the runtime: before it has turned once, it takes no socket to be ready.
        match rustix::io::write(&self.stream, &record)? {
            written if written == record.len() => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    /// The next message. `None`: the other end is gone, or says what can't be.
    ///
    /// # Cancel safety
    /// No message is lost.
    pub(super) async fn next<M: TryFrom<Record>>(&mut self) -> Option<M> {
        const SIZE: usize = size_of::<Record>();
        while self.received.len() < SIZE {
            let mut piece = [0; SIZE];
            let wanted = SIZE - self.received.len();
            match self.stream.read(&mut piece[..wanted]).await {
                Ok(read @ 1..) => self.received.extend_from_slice(&piece[..read]),
                Ok(0) | Err(_) => return None,
            }
        }
        let record = Record::try_from(&*std::mem::take(&mut self.received)).ok()?;
        M::try_from(record).ok()
    }
}

impl From<Order> for Record {
    fn from(order: Order) -> Self {
        match order {
            Order::Until(moment) => record(b'u', moment.nanos()),
            Order::Begin => record(b'b', 0),
            Order::End(moment) => record(b'e', moment.nanos()),
            Order::Signal(signal) => record(b's', u64::from(signal.unsigned_abs())),
        }
    }
}

impl TryFrom<Record> for Order {
    type Error = ();

    fn try_from(record: Record) -> Result<Self, ()> {
        match parts(record) {
            (b'u', nanos) => Ok(Self::Until(Moment::from_nanos(nanos))),
            (b'b', _) => Ok(Self::Begin),
            (b'e', nanos) => Ok(Self::End(Moment::from_nanos(nanos))),
            (b's', signal) => i32::try_from(signal).map(Self::Signal).map_err(drop),
            _ => Err(()),
        }
    }
}

impl From<Word> for Record {
    fn from(word: Word) -> Self {
        match word {
            Word::Group(group) => record(b'g', u64::from(group.unsigned_abs())),
            Word::Ended { code, by_us } => record(b'x', u64::from(code) << 1 | u64::from(by_us)),
        }
    }
}

impl TryFrom<Record> for Word {
    type Error = ();

    fn try_from(record: Record) -> Result<Self, ()> {
        match parts(record) {
            (b'g', group) => i32::try_from(group).map(Self::Group).map_err(drop),
            (b'x', said) => {
                u8::try_from(said >> 1).map(|code| Self::Ended { code, by_us: said & 1 == 1 }).map_err(drop)
            }
            _ => Err(()),
        }
    }
}

fn record(kind: u8, number: u64) -> Record {
    let mut record = [kind; 9];
    record[1..].copy_from_slice(&number.to_le_bytes());
    record
}

fn parts(record: Record) -> (u8, u64) {
    let [kind, number @ ..] = record;
    (kind, u64::from_le_bytes(number))
}

/// This process's standard input, which is a socket by which whoever started it talks to it.
///
/// # Errors
/// The system's.
pub(super) fn own_end() -> io::Result<StdStream> {
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

/// Sends an open file to the process at the other end.
///
/// # Errors
/// The other end is gone.
pub(super) fn send_file(stream: &StdStream, file: impl AsFd) -> io::Result<()> {
    let files = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&files));
    sendmsg(stream, &[IoSlice::new(b"f")], &mut control, SendFlags::empty())?;
    Ok(())
}

/// Waits for a file that the other end sends. `None`: it is gone.
///
/// # Errors
/// The system's.
pub(super) fn receive_file(stream: &StdStream) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    rustix::io::retry_on_intr(|| {
        recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::empty())
    })?;
    let file = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    if let Some(file) = &file {
        // Whatever this process starts is given what it is given, and nothing by accident.
        rustix::io::fcntl_setfd(file, FdFlags::CLOEXEC)?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_were() {
        for order in [
            Order::Until(Moment::from_nanos(u64::MAX)),
            Order::Begin,
            Order::End(Moment::from_nanos(7)),
            Order::Signal(15),
        ] {
            assert_eq!(Order::try_from(Record::from(order)), Ok(order));
        }
        for word in
            [Word::Group(4211), Word::Ended { code: 255, by_us: true }, Word::Ended { code: 0, by_us: false }]
        {
            assert_eq!(Word::try_from(Record::from(word)), Ok(word));
        }
        assert_eq!(Order::try_from([0; 9]), Err(()));
        assert_eq!(Word::try_from(record(b'x', u64::MAX)), Err(()));
    }

    #[tokio::test]
    async fn messages_in_pieces_are_put_together() {
        let (ours, theirs) = StdStream::pair().unwrap();
        let mut line = Line::over(ours).unwrap();
        let whole = Record::from(Order::Signal(2));
        rustix::io::write(&theirs, &whole[..4]).unwrap();
        let cut = tokio::time::timeout(std::time::Duration::from_millis(1), line.next::<Order>()).await;
        assert!(cut.is_err(), "{cut:?}");
        rustix::io::write(&theirs, &whole[4..]).unwrap();
        drop(theirs);
        assert_eq!(line.next().await, Some(Order::Signal(2)));
        assert_eq!(line.next::<Order>().await, None);
    }

    #[test]
    fn a_file_can_be_sent() {
        let (ours, theirs) = StdStream::pair().unwrap();
        let (reader, writer) = io::pipe().unwrap();
        send_file(&ours, writer).unwrap();
        let sent = receive_file(&theirs).unwrap().unwrap();
        rustix::io::write(&sent, b"x").unwrap();
        drop((sent, ours));
        assert_eq!(io::read_to_string(reader).unwrap(), "x");
        assert!(receive_file(&theirs).unwrap().is_none());
    }
}
