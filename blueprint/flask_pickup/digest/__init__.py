"""What changed since the last digest, for the owner of a line."""

from flask_pickup.digest.changes import News
from flask_pickup.digest.digest import Digest, digest_for

__all__ = ["Digest", "News", "digest_for"]
