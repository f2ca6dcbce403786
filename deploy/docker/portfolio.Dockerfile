# The worker that decides files of clients: pandas and Arrow, no model inside. Build from the project's root.
FROM python:3.11-slim AS build
COPY requirements/portfolio.txt /tmp/requirements.txt
RUN python -m venv --without-pip /venv \
    && python -m pip --python /venv install --no-cache-dir --require-hashes -r /tmp/requirements.txt \
    && find /venv -type d \( -name tests -o -name test \) -prune -exec rm -r {} + \
    && find /venv -name '*.map' -delete

FROM python:3.11-slim AS service
COPY deploy/docker/strip.sh /tmp/
RUN sh /tmp/strip.sh && rm /tmp/strip.sh
COPY deploy/docker/healthy.sh /usr/local/bin/healthy
COPY --from=build /venv /venv
COPY evaluation_api /app/evaluation_api
COPY model_store /app/model_store
COPY portfolio /app/portfolio
# Compiled once here: the root file system is read-only when it runs.
RUN /venv/bin/python -m compileall -q /app

FROM scratch
COPY --from=service / /
ENV PATH=/venv/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PORTFOLIO_METRICS_HOST=0.0.0.0 \
    PORTFOLIO_METRICS_PORT=8002 \
    EVALUATION_LOG_FORMAT=json
WORKDIR /app
USER 10001:10001
EXPOSE 8002
HEALTHCHECK --interval=3s --timeout=4s --start-period=150s --retries=3 CMD ["healthy", "8002", "/health"]
CMD ["python", "-m", "portfolio", "worker"]
