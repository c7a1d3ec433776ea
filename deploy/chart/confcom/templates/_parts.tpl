{{/* The parts that both DaemonSets share. What they render is equal to `confcom addon render`; tests/helm compares. */}}

{{- define "confcom.labels" -}}
app.kubernetes.io/name: {{ . }}
app.kubernetes.io/part-of: confcom
confcom.io/addon: confcom
confcom.io/component: {{ . }}
{{- end }}

{{- define "confcom.selector" -}}
confcom.io/addon: confcom
confcom.io/component: {{ . }}
{{- end }}

{{- define "confcom.batch" -}}
{{- if kindIs "string" .Values.update.batch -}}
{{ .Values.update.batch | quote }}
{{- else -}}
{{ int .Values.update.batch }}
{{- end -}}
{{- end }}

{{- define "confcom.image" -}}
{{- $image := default .Values.images.default (get .Values.images .field) -}}
{{- if not $image -}}
{{- fail (printf "images: no image is named for %s; give --set images.default=IMAGE" .field) -}}
{{- end -}}
{{ $image | quote }}
{{- end }}

{{- define "confcom.provider" -}}
{{- if ne .Values.quoteProvider "auto" -}}
{{ .Values.quoteProvider }}
{{- else if or .Values.pccs.url .Values.pccs.configSecret -}}
intel
{{- else -}}
azure
{{- end -}}
{{- end }}

{{- define "confcom.collateral" -}}
{{- if hasPrefix "https://" .Values.pccs.url -}}
{{ .Values.pccs.url }}
{{- else if or .Values.pccs.url .Values.pccs.configSecret -}}
none
{{- else if eq (include "confcom.provider" .) "azure" -}}
thim
{{- else -}}
intel
{{- end -}}
{{- end }}

{{- define "confcom.security" -}}
securityContext:
  runAsGroup: 0
  runAsUser: 0
  seLinuxOptions:
    type: spc_t
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "confcom.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop: [ALL]
  privileged: false
  readOnlyRootFilesystem: true
{{- end }}

{{- define "confcom.generation" -}}
- name: CONFCOM_GENERATION
  valueFrom:
    fieldRef:
      apiVersion: v1
      fieldPath: metadata.labels['pod-template-generation']
{{- end }}

{{- define "confcom.placement" -}}
{{- $nodes := .Values.nodes -}}
nodeSelector:
  kubernetes.io/os: linux
  kubernetes.io/arch: amd64
  {{- with $nodes.selector }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- if not (or $nodes.selector (kindIs "map" .Values.simulation)) }}
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
        {{- range $key, $value := $nodes.labels }}
        - matchExpressions:
            - key: {{ $key | quote }}
              operator: In
              values: [{{ $value | quote }}]
        {{- end }}
        {{- with $nodes.instanceTypes }}
        - matchExpressions:
            - key: node.kubernetes.io/instance-type
              operator: In
              values: {{ toYaml . | nindent 16 }}
        {{- end }}
{{- end }}
{{- with $nodes.tolerations }}
tolerations:
  {{- range . }}
  - key: {{ .key | quote }}
    operator: {{ default "Exists" .operator }}
    {{- if eq (default "Exists" .operator) "Equal" }}
    value: {{ default "" .value | quote }}
    {{- end }}
    {{- with .effect }}
    effect: {{ . }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "confcom.probes" -}}
startupProbe:
  {{- include "confcom.probe" (dict "ports" . "path" "/livez") | nindent 2 }}
  periodSeconds: 2
  failureThreshold: 30
livenessProbe:
  {{- include "confcom.probe" (dict "ports" . "path" "/livez") | nindent 2 }}
  periodSeconds: 20
  failureThreshold: 3
readinessProbe:
  {{- include "confcom.probe" (dict "ports" . "path" "/readyz") | nindent 2 }}
  periodSeconds: 5
  failureThreshold: 3
{{- end }}

{{- define "confcom.probe" -}}
exec:
  command: [python3, -m, confcom.runtime.probe, "--ports={{ .ports }}", "--path={{ .path }}"]
timeoutSeconds: 5
{{- end }}

{{- define "confcom.policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .name }}
  namespace: {{ .Values.namespace | quote }}
  labels:
    {{- include "confcom.labels" .name | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "confcom.selector" .name | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - ports:
        {{- range .ports }}
        - port: {{ . }}
          protocol: TCP
        {{- end }}
  {{- if .egress }}
  egress: [{}]
  {{- end }}
{{- end }}

{{- define "confcom.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ .Values.namespace | quote }}
  labels:
    {{- include "confcom.labels" .name | nindent 4 }}
automountServiceAccountToken: false
{{- end }}
