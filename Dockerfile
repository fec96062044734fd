FROM node:24.21.0-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
# The image serves with EventStoreDB too, whose client npm does not install by itself. Its version, and those of all that
# it needs, are those of package-lock.json.
RUN npm run build \
 && npm prune --omit=dev --no-audit --no-fund \
 && client="$(node -p 'require("./package.json").peerDependencies["@eventstore/db-client"]')" \
 && npm install --no-save --save-prod --omit=dev --no-audit --no-fund "@eventstore/db-client@$client"

FROM node:24.21.0-trixie-slim
ENV NODE_ENV=production \
    WAYBILL_HOST=0.0.0.0 \
    WAYBILL_PORT=8080 \
    WAYBILL_DATA_DIR=/var/lib/waybill
WORKDIR /app
RUN install --directory --owner=node --group=node /var/lib/waybill
COPY LICENSE ./
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
USER node
VOLUME /var/lib/waybill
EXPOSE 8080
# Ready means: the log, the read model and the projector are there. No curl in the image: Node asks.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.WAYBILL_PORT}/readyz`).then((a) => process.exit(a.ok ? 0 : 1), () => process.exit(1))"]
# Node is process 1 and handles SIGTERM itself: it drains, then ends.
CMD ["node", "--max-semi-space-size=32", "dist/main.js"]
