"""A server on loopback that sends given bytes, and only those."""

import contextlib
import socket
import threading
import time

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextlib.contextmanager
def serve(*pieces: bytes, pause: float = 0.0, read: bool = True):
    """A server that sends these pieces to each client; yields its port and what it received."""
    listener, received = socket.create_server(("127.0.0.1", 0)), []

    def answer():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    received.append(connection.recv(65536) if read else b"")
                    for piece in pieces:
                        connection.sendall(piece)
                        time.sleep(pause)

    threading.Thread(target=answer, daemon=True).start()
    yield listener.getsockname()[1], received
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
