# syntax=docker/dockerfile:1
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/listener
# The CPU build of torch: the default one brings gigabytes of CUDA that a listener does not use.
RUN /opt/listener/bin/pip install --no-cache-dir torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY listener listener
COPY migrations migrations
RUN /opt/listener/bin/pip install --no-cache-dir .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/listener --create-home listener
COPY --from=build /opt/listener /opt/listener
ENV PATH=/opt/listener/bin:$PATH PYTHONUNBUFFERED=1 LISTENER_CONFIG=/etc/listener/listener.toml
USER listener
WORKDIR /var/lib/listener
EXPOSE 9464
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9464/healthz', timeout=4)"]
ENTRYPOINT ["listener"]
CMD ["run"]
