"""The ceiling for anything on Flask: a route that returns a constant through ``jsonify``, of an answer's size."""

from flask import Flask, Response, jsonify

app = Flask(__name__)

ANSWER = {"assistant": {"first_message": "Good day.", "llm_config": {"messages": [{"content": "x" * 4_300}]}}}


@app.post("/webhook")
def webhook() -> Response:
    """Return the constant."""
    return jsonify(ANSWER)
