{{/* A Service's name has 63 letters at most; a digest tells apart long names that begin alike. */}}
{{- define "app.name" -}}
{{- $release := .root.Release.Name -}}
{{- if gt (len $release) 40 -}}
{{- $release = printf "%s-%s" (trunc 31 $release | trimSuffix "-") (sha256sum $release | trunc 8) -}}
{{- end -}}
{{- printf "%s-%s" $release .component -}}
{{- end -}}

{{- define "app.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "app.labels" -}}
{{ include "app.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "app.image" -}}
{{- $values := index .root.Values .component -}}
{{- $tag := $values.tag | default .root.Values.image.tag | default .root.Chart.AppVersion -}}
image: {{ printf "%s%s%s%s" .root.Values.image.prefix .component (ternary "" ":" (hasPrefix "@" $tag)) $tag | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
{{- end -}}

{{/* What the restricted pod security standard asks for, and a root file system that nobody writes to. */}}
{{- define "app.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{- define "app.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "app.databaseURL" -}}
- name: EVALUATION_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ .root.Values.database.existingSecret }}
      key: {{ .root.Values.database.key }}
{{- end -}}

{{- define "app.modelToken" -}}
- name: MODEL_SERVICE_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ .root.Values.access.existingSecret }}
      key: {{ .root.Values.access.modelTokenKey }}
{{- end -}}

{{/* Where people reach the pages: without an ingress, as NOTES.txt says. */}}
{{- define "app.publicURL" -}}
{{- if .Values.access.publicURL }}{{ .Values.access.publicURL }}
{{- else if .Values.ingress.enabled }}{{ ternary "http" "https" (empty .Values.ingress.tlsSecret) }}://{{ .Values.ingress.host }}
{{- else }}http://localhost:8080
{{- end }}
{{- end -}}

{{/* Who comes in. */}}
{{- define "app.access" -}}
{{- if and (eq .root.Values.access.gateways "*") (not .root.Values.networkPolicy.enabled) }}
{{- fail "networkPolicy is off, so that any pod may say for whom it asks: access.gateways names the network of the gateway's pods." }}
{{- end -}}
- name: EVALUATION_ACCESS_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ .root.Values.access.existingSecret }}
      key: {{ .root.Values.access.secretKey }}
- name: EVALUATION_PUBLIC_URL
  value: {{ include "app.publicURL" .root | quote }}
- name: EVALUATION_GATEWAYS
  value: {{ .root.Values.access.gateways | quote }}
{{- with .root.Values.access.oidcSecret }}
- name: EVALUATION_OIDC_CLIENT_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $.root.Values.access.oidcSecretKey }}
{{- end }}
{{- end -}}

{{- define "app.temporary" -}}
volumes:
  - name: temporary
    emptyDir:
      medium: Memory
      sizeLimit: 64Mi
{{- end -}}

{{/*
One Deployment. port: where it listens. env: its own variables, as YAML. startup, ready, live: paths.
*/}}
{{- define "app.deployment" -}}
{{- $values := index .root.Values .component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "app.name" . }}
  labels:
    {{- include "app.labels" . | nindent 4 }}
spec:
  {{- if not $values.autoscaling.enabled }}
  replicas: {{ $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  selector:
    matchLabels:
      {{- include "app.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "app.labels" . | nindent 8 }}
    spec:
      serviceAccountName: {{ include "app.name" . }}
      {{- include "app.podSecurity" . | nindent 6 }}
      # The 5 s of preStop, and the 20 s that a request in flight may take.
      terminationGracePeriodSeconds: 30
      topologySpreadConstraints:
        {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "app.selector" $ | nindent 14 }}
        {{- end }}
      containers:
        - name: {{ .component }}
          {{- include "app.image" . | nindent 10 }}
          {{- include "app.containerSecurity" . | nindent 10 }}
          ports:
            - name: http
              containerPort: {{ .port }}
          env:
            {{- .env | nindent 12 }}
            {{- range $name, $value := $values.env }}
            {{- if or (contains (printf "name: %s\n" $name) $.env) (regexMatch "_(HOST|PORT)$" $name) }}
            {{- fail (printf "%s.env sets %s, which the chart sets by itself." $.component $name) }}
            {{- end }}
            - name: {{ $name }}
              value: {{ $value | quote }}
            {{- end }}
          # Not yet started is no failure, for two and a half minutes: on a busy node a start that
          # takes 7 s elsewhere took 93.
          startupProbe:
            httpGet: {path: {{ .startup }}, port: http}
            periodSeconds: 2
            timeoutSeconds: 2
            failureThreshold: 75
          # Whether it may be sent requests.
          readinessProbe:
            httpGet: {path: {{ .ready }}, port: http}
            periodSeconds: 5
            timeoutSeconds: 4
            failureThreshold: 2
          # Whether a restart would help: it asks this process alone, nothing that it leans on.
          livenessProbe:
            httpGet: {path: {{ .live }}, port: http}
            periodSeconds: 10
            timeoutSeconds: 4
            failureThreshold: 3
          # Until everybody has heard that it is going, it still answers.
          lifecycle:
            preStop:
              exec:
                command: [sleep, "5"]
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            - name: temporary
              mountPath: /tmp
      {{- include "app.temporary" . | nindent 6 }}
      {{- with $values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end -}}
