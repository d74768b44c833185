# app.py behind gunicorn. Content and secrets come from outside: see docs/operations.md.
FROM python:3.13-slim

RUN useradd --system --create-home --home-dir /srv pickup
WORKDIR /srv/pickup
COPY requirements.txt ./
RUN pip install --no-cache-dir --requirement requirements.txt
COPY --chown=pickup . .
RUN pip install --no-cache-dir --no-deps . && install --directory --mode 700 --owner pickup instance

USER pickup
ENV HOST=0.0.0.0 PORT=8000
# SQLite, if it is used, and the rows that no database would take: this has to outlive the container.
VOLUME /srv/pickup/instance
EXPOSE 8000
HEALTHCHECK --interval=10s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/pickup/health', timeout=3)"]
# gunicorn itself is the first process, so that HUP and TERM reach it.
CMD ["gunicorn", "--config", "gunicorn.conf.py"]
