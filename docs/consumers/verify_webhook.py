"""Verifies a webhook of Propty (Standard Webhooks, v1): verify_webhook.py SECRET ID TIMESTAMP SIGNATURE < body"""

import base64
import hashlib
import hmac
import sys
import time


def verify(secret, headers, body, now):
    if abs(now - int(headers["webhook-timestamp"])) > 300:
        return False
    signed = f'{headers["webhook-id"]}.{headers["webhook-timestamp"]}.'.encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(expected, one) for one in headers["webhook-signature"].split(" "))


if __name__ == "__main__":
    secret, *values = sys.argv[1:]
    headers = dict(zip(("webhook-id", "webhook-timestamp", "webhook-signature"), values))
    if not verify(secret, headers, sys.stdin.buffer.read(), time.time()):
        sys.exit("the webhook is not to be believed")
