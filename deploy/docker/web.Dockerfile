# The gateway and the static front: nginx. Build from the project's root.
# nginx's stable line; another base, 1.22 or later with bash and envsubst, is named when it is built.
ARG NGINX_IMAGE=nginx:1.30
FROM $NGINX_IMAGE
COPY deploy/docker/healthy.sh /usr/local/bin/healthy
COPY deploy/nginx/gateway.sh /usr/local/bin/gateway
COPY deploy/nginx/*.conf deploy/nginx/*.template /etc/gateway/
COPY frontend /srv/frontend
ENV GATEWAY_EVALUATION_HOST=client_evaluation_service \
    GATEWAY_EVALUATION_PORT=8000 \
    GATEWAY_RATE_PER_SECOND=200 \
    GATEWAY_BURST=400 \
    GATEWAY_TRUSTED_PROXIES="" \
    GATEWAY_HOSTS="" \
    GATEWAY_PUBLIC_URL="" \
    GATEWAY_HTTPS_PORT=443 \
    GATEWAY_WORKERS=2
USER 10001:10001
EXPOSE 8080 8443
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=3s --timeout=4s --start-period=10s --retries=3 CMD ["healthy", "8080", "/gateway/live"]
ENTRYPOINT []
CMD ["gateway"]
