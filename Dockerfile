# otel-intel as a command (`migrate` in docker-compose.yml) and, as the target `demo`, the demo site.
FROM python:3.13-slim AS command
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY otel_intel otel_intel
COPY clickhouse clickhouse
COPY collector collector
COPY grafana grafana
RUN pip install . && rm -rf /src/*
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["otel-intel"]

FROM command AS demo
USER root
RUN pip install 'whitenoise>=6.9' && install -d -o 10001 -g 10001 /var/lib/demo
WORKDIR /site
COPY demo demo
USER 10001:10001
ENTRYPOINT ["python", "-m", "demo"]
CMD ["--stack", "--host=0.0.0.0", "--state=/var/lib/demo/site"]
