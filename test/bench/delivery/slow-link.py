#!/usr/bin/env python3
"""A slow link between two network namespaces: each way its rate, its delay and a short queue.

    slow-link.py NEAR NEAR_ADDRESS FAR FAR_ADDRESS KBIT DELAY_MS

A pair of TUN devices, `rollcall0` in each namespace, whose packets pass through this
process: for kernels without netem. Prints `ready`; ends with its input.
"""
import collections
import fcntl
import os
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN_WITHOUT_HEADER = 0x0001 | 0x1000
MTU = 1400
QUEUE_SECONDS = 0.3


class Way:
    """One direction: packets leave one after another at the link's rate and arrive a delay later."""

    def __init__(self, source, target, bytes_per_second, delay_seconds):
        self.source, self.target = source, target
        self.bytes_per_second, self.delay_seconds = bytes_per_second, delay_seconds
        self.free_at = 0.0
        self.under_way = collections.deque()

    def take(self, packet, now):
        begins = max(now, self.free_at)
        if begins - now > QUEUE_SECONDS:
            return
        self.free_at = begins + len(packet) / self.bytes_per_second
        self.under_way.append((self.free_at + self.delay_seconds, packet))

    def deliver(self, now):
        while self.under_way and self.under_way[0][0] <= now:
            try:
                os.write(self.target, self.under_way.popleft()[1])
            except OSError:
                pass


def open_device(namespace, address, peer):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    name = f"rollcall{os.getpid() % 100000}"
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN_WITHOUT_HEADER))
    for words in (
        ["link", "set", name, "netns", namespace],
        ["-n", namespace, "link", "set", name, "name", "rollcall0"],
        ["-n", namespace, "addr", "add", address, "peer", peer, "dev", "rollcall0"],
        ["-n", namespace, "link", "set", "rollcall0", "up", "mtu", str(MTU)],
        ["-n", namespace, "link", "set", "lo", "up"],
    ):
        subprocess.run(["ip", *words], check=True)
    return device


def read_packets(device):
    while True:
        try:
            yield os.read(device, 2048)
        except BlockingIOError:
            return


def main():
    near, near_address, far, far_address = sys.argv[1:5]
    bytes_per_second, delay_seconds = float(sys.argv[5]) * 125, float(sys.argv[6]) / 1000
    left = open_device(near, near_address, far_address)
    right = open_device(far, far_address, near_address)
    ways = (Way(left, right, bytes_per_second, delay_seconds), Way(right, left, bytes_per_second, delay_seconds))
    print("ready", flush=True)
    while True:
        due = min((way.under_way[0][0] for way in ways if way.under_way), default=None)
        patience = None if due is None else max(0.0, due - time.monotonic())
        readable, _, _ = select.select([left, right, sys.stdin], [], [], patience)
        if sys.stdin in readable:
            return
        now = time.monotonic()
        for way in ways:
            if way.source in readable:
                for packet in read_packets(way.source):
                    way.take(packet, now)
            way.deliver(time.monotonic())


main()
