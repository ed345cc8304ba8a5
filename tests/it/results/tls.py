"""TLS in front of a web server: tls.py PORT SERVER_PORT CERTIFICATE KEY"""

import socket
import ssl
import sys
import threading

port, server, certificate, key = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.minimum_version = ssl.TLSVersion.TLSv1_2
context.load_cert_chain(certificate, key)


def pour(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(plain):
    try:
        secure = context.wrap_socket(plain, server_side=True)
        behind = socket.create_connection(("127.0.0.1", server))
    except OSError:
        plain.close()
        return
    threading.Thread(target=pour, args=(secure, behind), daemon=True).start()
    pour(behind, secure)


door = socket.create_server(("127.0.0.1", port))
while True:
    connection, _ = door.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
