import * as $protobuf from "protobufjs/minimal.js";
import Long = require("long");

/** Namespace twill. */
export namespace twill {

    /** Namespace v1. */
    namespace v1 {

        /**
         * Properties of a StatusRequest.
         * @deprecated Use twill.v1.StatusRequest.$Properties instead.
         */
        interface IStatusRequest extends twill.v1.StatusRequest.$Properties {
        }

        /** Represents a StatusRequest. */
        class StatusRequest {

            /**
             * Constructs a new StatusRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.StatusRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /**
             * Encodes the specified StatusRequest message. Does not implicitly {@link twill.v1.StatusRequest.verify|verify} messages.
             * @param message StatusRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.StatusRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a StatusRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.StatusRequest & twill.v1.StatusRequest.$Shape} StatusRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.StatusRequest & twill.v1.StatusRequest.$Shape;
        }

        namespace StatusRequest {

            /** Properties of a StatusRequest. */
            interface $Properties {

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a StatusRequest. */
            type $Shape = twill.v1.StatusRequest.$Properties;
        }

        /**
         * Properties of a StatusResponse.
         * @deprecated Use twill.v1.StatusResponse.$Properties instead.
         */
        interface IStatusResponse extends twill.v1.StatusResponse.$Properties {
        }

        /** Represents a StatusResponse. */
        class StatusResponse {

            /**
             * Constructs a new StatusResponse.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.StatusResponse.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** StatusResponse status. */
            status?: (twill.v1.Status.$Properties|null);

            /**
             * Encodes the specified StatusResponse message. Does not implicitly {@link twill.v1.StatusResponse.verify|verify} messages.
             * @param message StatusResponse message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.StatusResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a StatusResponse message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.StatusResponse & twill.v1.StatusResponse.$Shape} StatusResponse
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.StatusResponse & twill.v1.StatusResponse.$Shape;
        }

        namespace StatusResponse {

            /** Properties of a StatusResponse. */
            interface $Properties {

                /** StatusResponse status */
                status?: (twill.v1.Status.$Properties|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a StatusResponse. */
            type $Shape = twill.v1.StatusResponse.$Properties;
        }

        /**
         * Properties of a ListLeasesRequest.
         * @deprecated Use twill.v1.ListLeasesRequest.$Properties instead.
         */
        interface IListLeasesRequest extends twill.v1.ListLeasesRequest.$Properties {
        }

        /** Represents a ListLeasesRequest. */
        class ListLeasesRequest {

            /**
             * Constructs a new ListLeasesRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.ListLeasesRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /**
             * Encodes the specified ListLeasesRequest message. Does not implicitly {@link twill.v1.ListLeasesRequest.verify|verify} messages.
             * @param message ListLeasesRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.ListLeasesRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ListLeasesRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.ListLeasesRequest & twill.v1.ListLeasesRequest.$Shape} ListLeasesRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.ListLeasesRequest & twill.v1.ListLeasesRequest.$Shape;
        }

        namespace ListLeasesRequest {

            /** Properties of a ListLeasesRequest. */
            interface $Properties {

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a ListLeasesRequest. */
            type $Shape = twill.v1.ListLeasesRequest.$Properties;
        }

        /**
         * Properties of a ListLeasesResponse.
         * @deprecated Use twill.v1.ListLeasesResponse.$Properties instead.
         */
        interface IListLeasesResponse extends twill.v1.ListLeasesResponse.$Properties {
        }

        /** Represents a ListLeasesResponse. */
        class ListLeasesResponse {

            /**
             * Constructs a new ListLeasesResponse.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.ListLeasesResponse.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ListLeasesResponse leases. */
            leases: twill.v1.Lease.$Properties[];

            /**
             * Encodes the specified ListLeasesResponse message. Does not implicitly {@link twill.v1.ListLeasesResponse.verify|verify} messages.
             * @param message ListLeasesResponse message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.ListLeasesResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ListLeasesResponse message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.ListLeasesResponse & twill.v1.ListLeasesResponse.$Shape} ListLeasesResponse
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.ListLeasesResponse & twill.v1.ListLeasesResponse.$Shape;
        }

        namespace ListLeasesResponse {

            /** Properties of a ListLeasesResponse. */
            interface $Properties {

                /** ListLeasesResponse leases */
                leases?: (twill.v1.Lease.$Properties[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a ListLeasesResponse. */
            type $Shape = twill.v1.ListLeasesResponse.$Properties;
        }

        /**
         * Properties of a LeaveRequest.
         * @deprecated Use twill.v1.LeaveRequest.$Properties instead.
         */
        interface ILeaveRequest extends twill.v1.LeaveRequest.$Properties {
        }

        /** Represents a LeaveRequest. */
        class LeaveRequest {

            /**
             * Constructs a new LeaveRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.LeaveRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /**
             * Encodes the specified LeaveRequest message. Does not implicitly {@link twill.v1.LeaveRequest.verify|verify} messages.
             * @param message LeaveRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.LeaveRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a LeaveRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.LeaveRequest & twill.v1.LeaveRequest.$Shape} LeaveRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.LeaveRequest & twill.v1.LeaveRequest.$Shape;
        }

        namespace LeaveRequest {

            /** Properties of a LeaveRequest. */
            interface $Properties {

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a LeaveRequest. */
            type $Shape = twill.v1.LeaveRequest.$Properties;
        }

        /**
         * Properties of a LeaveResponse.
         * @deprecated Use twill.v1.LeaveResponse.$Properties instead.
         */
        interface ILeaveResponse extends twill.v1.LeaveResponse.$Properties {
        }

        /** Represents a LeaveResponse. */
        class LeaveResponse {

            /**
             * Constructs a new LeaveResponse.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.LeaveResponse.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** LeaveResponse subnets. */
            subnets: string[];

            /** LeaveResponse problems. */
            problems: string[];

            /**
             * Encodes the specified LeaveResponse message. Does not implicitly {@link twill.v1.LeaveResponse.verify|verify} messages.
             * @param message LeaveResponse message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.LeaveResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a LeaveResponse message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.LeaveResponse & twill.v1.LeaveResponse.$Shape} LeaveResponse
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.LeaveResponse & twill.v1.LeaveResponse.$Shape;
        }

        namespace LeaveResponse {

            /** Properties of a LeaveResponse. */
            interface $Properties {

                /** LeaveResponse subnets */
                subnets?: (string[]|null);

                /** LeaveResponse problems */
                problems?: (string[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a LeaveResponse. */
            type $Shape = twill.v1.LeaveResponse.$Properties;
        }

        /**
         * Properties of a ReserveRequest.
         * @deprecated Use twill.v1.ReserveRequest.$Properties instead.
         */
        interface IReserveRequest extends twill.v1.ReserveRequest.$Properties {
        }

        /** Represents a ReserveRequest. */
        class ReserveRequest {

            /**
             * Constructs a new ReserveRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.ReserveRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ReserveRequest subnets. */
            subnets: string[];

            /** ReserveRequest publicIps. */
            publicIps: string[];

            /**
             * Encodes the specified ReserveRequest message. Does not implicitly {@link twill.v1.ReserveRequest.verify|verify} messages.
             * @param message ReserveRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.ReserveRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ReserveRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.ReserveRequest & twill.v1.ReserveRequest.$Shape} ReserveRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.ReserveRequest & twill.v1.ReserveRequest.$Shape;
        }

        namespace ReserveRequest {

            /** Properties of a ReserveRequest. */
            interface $Properties {

                /** ReserveRequest subnets */
                subnets?: (string[]|null);

                /** ReserveRequest publicIps */
                publicIps?: (string[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a ReserveRequest. */
            type $Shape = twill.v1.ReserveRequest.$Properties;
        }

        /**
         * Properties of a ReserveResponse.
         * @deprecated Use twill.v1.ReserveResponse.$Properties instead.
         */
        interface IReserveResponse extends twill.v1.ReserveResponse.$Properties {
        }

        /** Represents a ReserveResponse. */
        class ReserveResponse {

            /**
             * Constructs a new ReserveResponse.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.ReserveResponse.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ReserveResponse key. */
            key: string;

            /**
             * Encodes the specified ReserveResponse message. Does not implicitly {@link twill.v1.ReserveResponse.verify|verify} messages.
             * @param message ReserveResponse message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.ReserveResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ReserveResponse message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.ReserveResponse & twill.v1.ReserveResponse.$Shape} ReserveResponse
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.ReserveResponse & twill.v1.ReserveResponse.$Shape;
        }

        namespace ReserveResponse {

            /** Properties of a ReserveResponse. */
            interface $Properties {

                /** ReserveResponse key */
                key?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a ReserveResponse. */
            type $Shape = twill.v1.ReserveResponse.$Properties;
        }

        /**
         * Properties of an UnreserveRequest.
         * @deprecated Use twill.v1.UnreserveRequest.$Properties instead.
         */
        interface IUnreserveRequest extends twill.v1.UnreserveRequest.$Properties {
        }

        /** Represents an UnreserveRequest. */
        class UnreserveRequest {

            /**
             * Constructs a new UnreserveRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.UnreserveRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** UnreserveRequest subnets. */
            subnets: string[];

            /**
             * Encodes the specified UnreserveRequest message. Does not implicitly {@link twill.v1.UnreserveRequest.verify|verify} messages.
             * @param message UnreserveRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.UnreserveRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an UnreserveRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.UnreserveRequest & twill.v1.UnreserveRequest.$Shape} UnreserveRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.UnreserveRequest & twill.v1.UnreserveRequest.$Shape;
        }

        namespace UnreserveRequest {

            /** Properties of an UnreserveRequest. */
            interface $Properties {

                /** UnreserveRequest subnets */
                subnets?: (string[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an UnreserveRequest. */
            type $Shape = twill.v1.UnreserveRequest.$Properties;
        }

        /**
         * Properties of an UnreserveResponse.
         * @deprecated Use twill.v1.UnreserveResponse.$Properties instead.
         */
        interface IUnreserveResponse extends twill.v1.UnreserveResponse.$Properties {
        }

        /** Represents an UnreserveResponse. */
        class UnreserveResponse {

            /**
             * Constructs a new UnreserveResponse.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.UnreserveResponse.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** UnreserveResponse key. */
            key: string;

            /**
             * Encodes the specified UnreserveResponse message. Does not implicitly {@link twill.v1.UnreserveResponse.verify|verify} messages.
             * @param message UnreserveResponse message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.UnreserveResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an UnreserveResponse message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.UnreserveResponse & twill.v1.UnreserveResponse.$Shape} UnreserveResponse
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.UnreserveResponse & twill.v1.UnreserveResponse.$Shape;
        }

        namespace UnreserveResponse {

            /** Properties of an UnreserveResponse. */
            interface $Properties {

                /** UnreserveResponse key */
                key?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an UnreserveResponse. */
            type $Shape = twill.v1.UnreserveResponse.$Properties;
        }

        /**
         * Properties of a ListProbesRequest.
         * @deprecated Use twill.v1.ListProbesRequest.$Properties instead.
         */
        interface IListProbesRequest extends twill.v1.ListProbesRequest.$Properties {
        }

        /** Represents a ListProbesRequest. */
        class ListProbesRequest {

            /**
             * Constructs a new ListProbesRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.ListProbesRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /**
             * Encodes the specified ListProbesRequest message. Does not implicitly {@link twill.v1.ListProbesRequest.verify|verify} messages.
             * @param message ListProbesRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.ListProbesRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ListProbesRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.ListProbesRequest & twill.v1.ListProbesRequest.$Shape} ListProbesRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.ListProbesRequest & twill.v1.ListProbesRequest.$Shape;
        }

        namespace ListProbesRequest {

            /** Properties of a ListProbesRequest. */
            interface $Properties {

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a ListProbesRequest. */
            type $Shape = twill.v1.ListProbesRequest.$Properties;
        }

        /**
         * Properties of a ListProbesResponse.
         * @deprecated Use twill.v1.ListProbesResponse.$Properties instead.
         */
        interface IListProbesResponse extends twill.v1.ListProbesResponse.$Properties {
        }

        /** Represents a ListProbesResponse. */
        class ListProbesResponse {

            /**
             * Constructs a new ListProbesResponse.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.ListProbesResponse.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ListProbesResponse probes. */
            probes: twill.v1.PeerProbe.$Properties[];

            /**
             * Encodes the specified ListProbesResponse message. Does not implicitly {@link twill.v1.ListProbesResponse.verify|verify} messages.
             * @param message ListProbesResponse message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.ListProbesResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ListProbesResponse message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.ListProbesResponse & twill.v1.ListProbesResponse.$Shape} ListProbesResponse
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.ListProbesResponse & twill.v1.ListProbesResponse.$Shape;
        }

        namespace ListProbesResponse {

            /** Properties of a ListProbesResponse. */
            interface $Properties {

                /** ListProbesResponse probes */
                probes?: (twill.v1.PeerProbe.$Properties[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a ListProbesResponse. */
            type $Shape = twill.v1.ListProbesResponse.$Properties;
        }

        /**
         * Properties of a ProbeRequest.
         * @deprecated Use twill.v1.ProbeRequest.$Properties instead.
         */
        interface IProbeRequest extends twill.v1.ProbeRequest.$Properties {
        }

        /** Represents a ProbeRequest. */
        class ProbeRequest {

            /**
             * Constructs a new ProbeRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.ProbeRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ProbeRequest target. */
            target: string;

            /**
             * Encodes the specified ProbeRequest message. Does not implicitly {@link twill.v1.ProbeRequest.verify|verify} messages.
             * @param message ProbeRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.ProbeRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ProbeRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.ProbeRequest & twill.v1.ProbeRequest.$Shape} ProbeRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.ProbeRequest & twill.v1.ProbeRequest.$Shape;
        }

        namespace ProbeRequest {

            /** Properties of a ProbeRequest. */
            interface $Properties {

                /** ProbeRequest target */
                target?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a ProbeRequest. */
            type $Shape = twill.v1.ProbeRequest.$Properties;
        }

        /**
         * Properties of a ProbeResponse.
         * @deprecated Use twill.v1.ProbeResponse.$Properties instead.
         */
        interface IProbeResponse extends twill.v1.ProbeResponse.$Properties {
        }

        /** Represents a ProbeResponse. */
        class ProbeResponse {

            /**
             * Constructs a new ProbeResponse.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.ProbeResponse.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ProbeResponse probes. */
            probes: twill.v1.PeerProbe.$Properties[];

            /** ProbeResponse address. */
            address?: (twill.v1.AddressProbe.$Properties|null);

            /**
             * Encodes the specified ProbeResponse message. Does not implicitly {@link twill.v1.ProbeResponse.verify|verify} messages.
             * @param message ProbeResponse message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.ProbeResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ProbeResponse message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.ProbeResponse & twill.v1.ProbeResponse.$Shape} ProbeResponse
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.ProbeResponse & twill.v1.ProbeResponse.$Shape;
        }

        namespace ProbeResponse {

            /** Properties of a ProbeResponse. */
            interface $Properties {

                /** ProbeResponse probes */
                probes?: (twill.v1.PeerProbe.$Properties[]|null);

                /** ProbeResponse address */
                address?: (twill.v1.AddressProbe.$Properties|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a ProbeResponse. */
            type $Shape = twill.v1.ProbeResponse.$Properties;
        }

        /**
         * Properties of a PeerProbe.
         * @deprecated Use twill.v1.PeerProbe.$Properties instead.
         */
        interface IPeerProbe extends twill.v1.PeerProbe.$Properties {
        }

        /** Represents a PeerProbe. */
        class PeerProbe {

            /**
             * Constructs a new PeerProbe.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.PeerProbe.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** PeerProbe key. */
            key: string;

            /** PeerProbe overlay. */
            overlay: string;

            /** PeerProbe underlay. */
            underlay: string;

            /** PeerProbe state. */
            state: twill.v1.ProbeState;

            /** PeerProbe since. */
            since: (number|Long);

            /** PeerProbe rttMs. */
            rttMs: number;

            /** PeerProbe sent. */
            sent: number;

            /** PeerProbe lost. */
            lost: number;

            /** PeerProbe lastSeen. */
            lastSeen: (number|Long);

            /** PeerProbe mtu. */
            mtu: number;

            /** PeerProbe wantedMtu. */
            wantedMtu: number;

            /** PeerProbe tcp. */
            tcp: twill.v1.ProbeTcp;

            /** PeerProbe inbound. */
            inbound: twill.v1.ProbeInbound;

            /** PeerProbe lastAnswer. */
            lastAnswer: (number|Long);

            /**
             * Encodes the specified PeerProbe message. Does not implicitly {@link twill.v1.PeerProbe.verify|verify} messages.
             * @param message PeerProbe message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.PeerProbe.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a PeerProbe message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.PeerProbe & twill.v1.PeerProbe.$Shape} PeerProbe
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.PeerProbe & twill.v1.PeerProbe.$Shape;
        }

        namespace PeerProbe {

            /** Properties of a PeerProbe. */
            interface $Properties {

                /** PeerProbe key */
                key?: (string|null);

                /** PeerProbe overlay */
                overlay?: (string|null);

                /** PeerProbe underlay */
                underlay?: (string|null);

                /** PeerProbe state */
                state?: (twill.v1.ProbeState|null);

                /** PeerProbe since */
                since?: (number|Long|null);

                /** PeerProbe rttMs */
                rttMs?: (number|null);

                /** PeerProbe sent */
                sent?: (number|null);

                /** PeerProbe lost */
                lost?: (number|null);

                /** PeerProbe lastSeen */
                lastSeen?: (number|Long|null);

                /** PeerProbe mtu */
                mtu?: (number|null);

                /** PeerProbe wantedMtu */
                wantedMtu?: (number|null);

                /** PeerProbe tcp */
                tcp?: (twill.v1.ProbeTcp|null);

                /** PeerProbe inbound */
                inbound?: (twill.v1.ProbeInbound|null);

                /** PeerProbe lastAnswer */
                lastAnswer?: (number|Long|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a PeerProbe. */
            type $Shape = twill.v1.PeerProbe.$Properties;
        }

        /** ProbeState enum. */
        enum ProbeState {

            /** PROBE_STATE_UNSPECIFIED value */
            PROBE_STATE_UNSPECIFIED = 0,

            /** PROBE_STATE_UP value */
            PROBE_STATE_UP = 1,

            /** PROBE_STATE_OVERLAY_DOWN value */
            PROBE_STATE_OVERLAY_DOWN = 2,

            /** PROBE_STATE_DOWN value */
            PROBE_STATE_DOWN = 3
        }

        /** ProbeTcp enum. */
        enum ProbeTcp {

            /** PROBE_TCP_UNSPECIFIED value */
            PROBE_TCP_UNSPECIFIED = 0,

            /** PROBE_TCP_ANSWERS value */
            PROBE_TCP_ANSWERS = 1,

            /** PROBE_TCP_SILENT value */
            PROBE_TCP_SILENT = 2
        }

        /** ProbeInbound enum. */
        enum ProbeInbound {

            /** PROBE_INBOUND_UNSPECIFIED value */
            PROBE_INBOUND_UNSPECIFIED = 0,

            /** PROBE_INBOUND_ARRIVES value */
            PROBE_INBOUND_ARRIVES = 1,

            /** PROBE_INBOUND_SILENT value */
            PROBE_INBOUND_SILENT = 2
        }

        /**
         * Properties of an AddressProbe.
         * @deprecated Use twill.v1.AddressProbe.$Properties instead.
         */
        interface IAddressProbe extends twill.v1.AddressProbe.$Properties {
        }

        /** Represents an AddressProbe. */
        class AddressProbe {

            /**
             * Constructs a new AddressProbe.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.AddressProbe.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** AddressProbe address. */
            address: string;

            /** AddressProbe sent. */
            sent: number;

            /** AddressProbe lost. */
            lost: number;

            /** AddressProbe rttMs. */
            rttMs: number;

            /** AddressProbe mtu. */
            mtu: number;

            /**
             * Encodes the specified AddressProbe message. Does not implicitly {@link twill.v1.AddressProbe.verify|verify} messages.
             * @param message AddressProbe message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.AddressProbe.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an AddressProbe message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.AddressProbe & twill.v1.AddressProbe.$Shape} AddressProbe
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.AddressProbe & twill.v1.AddressProbe.$Shape;
        }

        namespace AddressProbe {

            /** Properties of an AddressProbe. */
            interface $Properties {

                /** AddressProbe address */
                address?: (string|null);

                /** AddressProbe sent */
                sent?: (number|null);

                /** AddressProbe lost */
                lost?: (number|null);

                /** AddressProbe rttMs */
                rttMs?: (number|null);

                /** AddressProbe mtu */
                mtu?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an AddressProbe. */
            type $Shape = twill.v1.AddressProbe.$Properties;
        }

        /**
         * Properties of a ListLogsRequest.
         * @deprecated Use twill.v1.ListLogsRequest.$Properties instead.
         */
        interface IListLogsRequest extends twill.v1.ListLogsRequest.$Properties {
        }

        /** Represents a ListLogsRequest. */
        class ListLogsRequest {

            /**
             * Constructs a new ListLogsRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.ListLogsRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ListLogsRequest after. */
            after: (number|Long);

            /**
             * Encodes the specified ListLogsRequest message. Does not implicitly {@link twill.v1.ListLogsRequest.verify|verify} messages.
             * @param message ListLogsRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.ListLogsRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ListLogsRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.ListLogsRequest & twill.v1.ListLogsRequest.$Shape} ListLogsRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.ListLogsRequest & twill.v1.ListLogsRequest.$Shape;
        }

        namespace ListLogsRequest {

            /** Properties of a ListLogsRequest. */
            interface $Properties {

                /** ListLogsRequest after */
                after?: (number|Long|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a ListLogsRequest. */
            type $Shape = twill.v1.ListLogsRequest.$Properties;
        }

        /**
         * Properties of a ListLogsResponse.
         * @deprecated Use twill.v1.ListLogsResponse.$Properties instead.
         */
        interface IListLogsResponse extends twill.v1.ListLogsResponse.$Properties {
        }

        /** Represents a ListLogsResponse. */
        class ListLogsResponse {

            /**
             * Constructs a new ListLogsResponse.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.ListLogsResponse.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ListLogsResponse lines. */
            lines: twill.v1.LogLine.$Properties[];

            /**
             * Encodes the specified ListLogsResponse message. Does not implicitly {@link twill.v1.ListLogsResponse.verify|verify} messages.
             * @param message ListLogsResponse message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.ListLogsResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ListLogsResponse message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.ListLogsResponse & twill.v1.ListLogsResponse.$Shape} ListLogsResponse
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.ListLogsResponse & twill.v1.ListLogsResponse.$Shape;
        }

        namespace ListLogsResponse {

            /** Properties of a ListLogsResponse. */
            interface $Properties {

                /** ListLogsResponse lines */
                lines?: (twill.v1.LogLine.$Properties[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a ListLogsResponse. */
            type $Shape = twill.v1.ListLogsResponse.$Properties;
        }

        /**
         * Properties of a LogLine.
         * @deprecated Use twill.v1.LogLine.$Properties instead.
         */
        interface ILogLine extends twill.v1.LogLine.$Properties {
        }

        /** Represents a LogLine. */
        class LogLine {

            /**
             * Constructs a new LogLine.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.LogLine.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** LogLine sequence. */
            sequence: (number|Long);

            /** LogLine text. */
            text: string;

            /**
             * Encodes the specified LogLine message. Does not implicitly {@link twill.v1.LogLine.verify|verify} messages.
             * @param message LogLine message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.LogLine.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a LogLine message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.LogLine & twill.v1.LogLine.$Shape} LogLine
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.LogLine & twill.v1.LogLine.$Shape;
        }

        namespace LogLine {

            /** Properties of a LogLine. */
            interface $Properties {

                /** LogLine sequence */
                sequence?: (number|Long|null);

                /** LogLine text */
                text?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a LogLine. */
            type $Shape = twill.v1.LogLine.$Properties;
        }

        /**
         * Properties of a ListSettingsRequest.
         * @deprecated Use twill.v1.ListSettingsRequest.$Properties instead.
         */
        interface IListSettingsRequest extends twill.v1.ListSettingsRequest.$Properties {
        }

        /** Represents a ListSettingsRequest. */
        class ListSettingsRequest {

            /**
             * Constructs a new ListSettingsRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.ListSettingsRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /**
             * Encodes the specified ListSettingsRequest message. Does not implicitly {@link twill.v1.ListSettingsRequest.verify|verify} messages.
             * @param message ListSettingsRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.ListSettingsRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ListSettingsRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.ListSettingsRequest & twill.v1.ListSettingsRequest.$Shape} ListSettingsRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.ListSettingsRequest & twill.v1.ListSettingsRequest.$Shape;
        }

        namespace ListSettingsRequest {

            /** Properties of a ListSettingsRequest. */
            interface $Properties {

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a ListSettingsRequest. */
            type $Shape = twill.v1.ListSettingsRequest.$Properties;
        }

        /**
         * Properties of a ListSettingsResponse.
         * @deprecated Use twill.v1.ListSettingsResponse.$Properties instead.
         */
        interface IListSettingsResponse extends twill.v1.ListSettingsResponse.$Properties {
        }

        /** Represents a ListSettingsResponse. */
        class ListSettingsResponse {

            /**
             * Constructs a new ListSettingsResponse.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.ListSettingsResponse.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** ListSettingsResponse settings. */
            settings: twill.v1.Setting.$Properties[];

            /**
             * Encodes the specified ListSettingsResponse message. Does not implicitly {@link twill.v1.ListSettingsResponse.verify|verify} messages.
             * @param message ListSettingsResponse message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.ListSettingsResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a ListSettingsResponse message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.ListSettingsResponse & twill.v1.ListSettingsResponse.$Shape} ListSettingsResponse
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.ListSettingsResponse & twill.v1.ListSettingsResponse.$Shape;
        }

        namespace ListSettingsResponse {

            /** Properties of a ListSettingsResponse. */
            interface $Properties {

                /** ListSettingsResponse settings */
                settings?: (twill.v1.Setting.$Properties[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a ListSettingsResponse. */
            type $Shape = twill.v1.ListSettingsResponse.$Properties;
        }

        /**
         * Properties of a Setting.
         * @deprecated Use twill.v1.Setting.$Properties instead.
         */
        interface ISetting extends twill.v1.Setting.$Properties {
        }

        /** Represents a Setting. */
        class Setting {

            /**
             * Constructs a new Setting.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.Setting.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Setting name. */
            name: string;

            /** Setting value. */
            value: string;

            /** Setting source. */
            source: twill.v1.SettingSource;

            /** Setting from. */
            from: string;

            /**
             * Encodes the specified Setting message. Does not implicitly {@link twill.v1.Setting.verify|verify} messages.
             * @param message Setting message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.Setting.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Setting message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.Setting & twill.v1.Setting.$Shape} Setting
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.Setting & twill.v1.Setting.$Shape;
        }

        namespace Setting {

            /** Properties of a Setting. */
            interface $Properties {

                /** Setting name */
                name?: (string|null);

                /** Setting value */
                value?: (string|null);

                /** Setting source */
                source?: (twill.v1.SettingSource|null);

                /** Setting from */
                from?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Setting. */
            type $Shape = twill.v1.Setting.$Properties;
        }

        /** SettingSource enum. */
        enum SettingSource {

            /** SETTING_SOURCE_UNSPECIFIED value */
            SETTING_SOURCE_UNSPECIFIED = 0,

            /** SETTING_SOURCE_DEFAULT value */
            SETTING_SOURCE_DEFAULT = 1,

            /** SETTING_SOURCE_FLAG value */
            SETTING_SOURCE_FLAG = 2,

            /** SETTING_SOURCE_ENVIRONMENT value */
            SETTING_SOURCE_ENVIRONMENT = 3,

            /** SETTING_SOURCE_NETWORK_CONFIG value */
            SETTING_SOURCE_NETWORK_CONFIG = 4,

            /** SETTING_SOURCE_DISCOVERED value */
            SETTING_SOURCE_DISCOVERED = 5,

            /** SETTING_SOURCE_RUNTIME value */
            SETTING_SOURCE_RUNTIME = 6
        }

        /**
         * Properties of a SetLogLevelRequest.
         * @deprecated Use twill.v1.SetLogLevelRequest.$Properties instead.
         */
        interface ISetLogLevelRequest extends twill.v1.SetLogLevelRequest.$Properties {
        }

        /** Represents a SetLogLevelRequest. */
        class SetLogLevelRequest {

            /**
             * Constructs a new SetLogLevelRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.SetLogLevelRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** SetLogLevelRequest level. */
            level: twill.v1.LogLevel;

            /**
             * Encodes the specified SetLogLevelRequest message. Does not implicitly {@link twill.v1.SetLogLevelRequest.verify|verify} messages.
             * @param message SetLogLevelRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.SetLogLevelRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a SetLogLevelRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.SetLogLevelRequest & twill.v1.SetLogLevelRequest.$Shape} SetLogLevelRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.SetLogLevelRequest & twill.v1.SetLogLevelRequest.$Shape;
        }

        namespace SetLogLevelRequest {

            /** Properties of a SetLogLevelRequest. */
            interface $Properties {

                /** SetLogLevelRequest level */
                level?: (twill.v1.LogLevel|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a SetLogLevelRequest. */
            type $Shape = twill.v1.SetLogLevelRequest.$Properties;
        }

        /**
         * Properties of a SetLogLevelResponse.
         * @deprecated Use twill.v1.SetLogLevelResponse.$Properties instead.
         */
        interface ISetLogLevelResponse extends twill.v1.SetLogLevelResponse.$Properties {
        }

        /** Represents a SetLogLevelResponse. */
        class SetLogLevelResponse {

            /**
             * Constructs a new SetLogLevelResponse.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.SetLogLevelResponse.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** SetLogLevelResponse before. */
            before: twill.v1.LogLevel;

            /** SetLogLevelResponse startedWith. */
            startedWith: twill.v1.LogLevel;

            /**
             * Encodes the specified SetLogLevelResponse message. Does not implicitly {@link twill.v1.SetLogLevelResponse.verify|verify} messages.
             * @param message SetLogLevelResponse message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.SetLogLevelResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a SetLogLevelResponse message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.SetLogLevelResponse & twill.v1.SetLogLevelResponse.$Shape} SetLogLevelResponse
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.SetLogLevelResponse & twill.v1.SetLogLevelResponse.$Shape;
        }

        namespace SetLogLevelResponse {

            /** Properties of a SetLogLevelResponse. */
            interface $Properties {

                /** SetLogLevelResponse before */
                before?: (twill.v1.LogLevel|null);

                /** SetLogLevelResponse startedWith */
                startedWith?: (twill.v1.LogLevel|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a SetLogLevelResponse. */
            type $Shape = twill.v1.SetLogLevelResponse.$Properties;
        }

        /** LogLevel enum. */
        enum LogLevel {

            /** LOG_LEVEL_UNSPECIFIED value */
            LOG_LEVEL_UNSPECIFIED = 0,

            /** LOG_LEVEL_DEBUG value */
            LOG_LEVEL_DEBUG = 1,

            /** LOG_LEVEL_INFO value */
            LOG_LEVEL_INFO = 2,

            /** LOG_LEVEL_WARN value */
            LOG_LEVEL_WARN = 3,

            /** LOG_LEVEL_ERROR value */
            LOG_LEVEL_ERROR = 4
        }

        /**
         * Properties of a WatchStatusRequest.
         * @deprecated Use twill.v1.WatchStatusRequest.$Properties instead.
         */
        interface IWatchStatusRequest extends twill.v1.WatchStatusRequest.$Properties {
        }

        /** Represents a WatchStatusRequest. */
        class WatchStatusRequest {

            /**
             * Constructs a new WatchStatusRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.WatchStatusRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** WatchStatusRequest intervalMs. */
            intervalMs: number;

            /**
             * Encodes the specified WatchStatusRequest message. Does not implicitly {@link twill.v1.WatchStatusRequest.verify|verify} messages.
             * @param message WatchStatusRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.WatchStatusRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a WatchStatusRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.WatchStatusRequest & twill.v1.WatchStatusRequest.$Shape} WatchStatusRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.WatchStatusRequest & twill.v1.WatchStatusRequest.$Shape;
        }

        namespace WatchStatusRequest {

            /** Properties of a WatchStatusRequest. */
            interface $Properties {

                /** WatchStatusRequest intervalMs */
                intervalMs?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a WatchStatusRequest. */
            type $Shape = twill.v1.WatchStatusRequest.$Properties;
        }

        /**
         * Properties of a WatchLeasesRequest.
         * @deprecated Use twill.v1.WatchLeasesRequest.$Properties instead.
         */
        interface IWatchLeasesRequest extends twill.v1.WatchLeasesRequest.$Properties {
        }

        /** Represents a WatchLeasesRequest. */
        class WatchLeasesRequest {

            /**
             * Constructs a new WatchLeasesRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.WatchLeasesRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** WatchLeasesRequest intervalMs. */
            intervalMs: number;

            /**
             * Encodes the specified WatchLeasesRequest message. Does not implicitly {@link twill.v1.WatchLeasesRequest.verify|verify} messages.
             * @param message WatchLeasesRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.WatchLeasesRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a WatchLeasesRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.WatchLeasesRequest & twill.v1.WatchLeasesRequest.$Shape} WatchLeasesRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.WatchLeasesRequest & twill.v1.WatchLeasesRequest.$Shape;
        }

        namespace WatchLeasesRequest {

            /** Properties of a WatchLeasesRequest. */
            interface $Properties {

                /** WatchLeasesRequest intervalMs */
                intervalMs?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a WatchLeasesRequest. */
            type $Shape = twill.v1.WatchLeasesRequest.$Properties;
        }

        /**
         * Properties of a WatchTrafficRequest.
         * @deprecated Use twill.v1.WatchTrafficRequest.$Properties instead.
         */
        interface IWatchTrafficRequest extends twill.v1.WatchTrafficRequest.$Properties {
        }

        /** Represents a WatchTrafficRequest. */
        class WatchTrafficRequest {

            /**
             * Constructs a new WatchTrafficRequest.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.WatchTrafficRequest.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** WatchTrafficRequest intervalMs. */
            intervalMs: number;

            /**
             * Encodes the specified WatchTrafficRequest message. Does not implicitly {@link twill.v1.WatchTrafficRequest.verify|verify} messages.
             * @param message WatchTrafficRequest message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.WatchTrafficRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a WatchTrafficRequest message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.WatchTrafficRequest & twill.v1.WatchTrafficRequest.$Shape} WatchTrafficRequest
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.WatchTrafficRequest & twill.v1.WatchTrafficRequest.$Shape;
        }

        namespace WatchTrafficRequest {

            /** Properties of a WatchTrafficRequest. */
            interface $Properties {

                /** WatchTrafficRequest intervalMs */
                intervalMs?: (number|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a WatchTrafficRequest. */
            type $Shape = twill.v1.WatchTrafficRequest.$Properties;
        }

        /**
         * Properties of a WatchTrafficResponse.
         * @deprecated Use twill.v1.WatchTrafficResponse.$Properties instead.
         */
        interface IWatchTrafficResponse extends twill.v1.WatchTrafficResponse.$Properties {
        }

        /** Represents a WatchTrafficResponse. */
        class WatchTrafficResponse {

            /**
             * Constructs a new WatchTrafficResponse.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.WatchTrafficResponse.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** WatchTrafficResponse peers. */
            peers: twill.v1.PeerTraffic.$Properties[];

            /**
             * Encodes the specified WatchTrafficResponse message. Does not implicitly {@link twill.v1.WatchTrafficResponse.verify|verify} messages.
             * @param message WatchTrafficResponse message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.WatchTrafficResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a WatchTrafficResponse message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.WatchTrafficResponse & twill.v1.WatchTrafficResponse.$Shape} WatchTrafficResponse
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.WatchTrafficResponse & twill.v1.WatchTrafficResponse.$Shape;
        }

        namespace WatchTrafficResponse {

            /** Properties of a WatchTrafficResponse. */
            interface $Properties {

                /** WatchTrafficResponse peers */
                peers?: (twill.v1.PeerTraffic.$Properties[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a WatchTrafficResponse. */
            type $Shape = twill.v1.WatchTrafficResponse.$Properties;
        }

        /**
         * Properties of a PeerTraffic.
         * @deprecated Use twill.v1.PeerTraffic.$Properties instead.
         */
        interface IPeerTraffic extends twill.v1.PeerTraffic.$Properties {
        }

        /** Represents a PeerTraffic. */
        class PeerTraffic {

            /**
             * Constructs a new PeerTraffic.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.PeerTraffic.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** PeerTraffic key. */
            key: string;

            /** PeerTraffic txPackets. */
            txPackets: (number|Long);

            /** PeerTraffic txBytes. */
            txBytes: (number|Long);

            /** PeerTraffic rxPackets. */
            rxPackets: (number|Long);

            /** PeerTraffic rxBytes. */
            rxBytes: (number|Long);

            /**
             * Encodes the specified PeerTraffic message. Does not implicitly {@link twill.v1.PeerTraffic.verify|verify} messages.
             * @param message PeerTraffic message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.PeerTraffic.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a PeerTraffic message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.PeerTraffic & twill.v1.PeerTraffic.$Shape} PeerTraffic
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.PeerTraffic & twill.v1.PeerTraffic.$Shape;
        }

        namespace PeerTraffic {

            /** Properties of a PeerTraffic. */
            interface $Properties {

                /** PeerTraffic key */
                key?: (string|null);

                /** PeerTraffic txPackets */
                txPackets?: (number|Long|null);

                /** PeerTraffic txBytes */
                txBytes?: (number|Long|null);

                /** PeerTraffic rxPackets */
                rxPackets?: (number|Long|null);

                /** PeerTraffic rxBytes */
                rxBytes?: (number|Long|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a PeerTraffic. */
            type $Shape = twill.v1.PeerTraffic.$Properties;
        }

        /**
         * Properties of a Status.
         * @deprecated Use twill.v1.Status.$Properties instead.
         */
        interface IStatus extends twill.v1.Status.$Properties {
        }

        /** Represents a Status. */
        class Status {

            /**
             * Constructs a new Status.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.Status.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Status version. */
            version: string;

            /** Status node. */
            node?: (twill.v1.Node.$Properties|null);

            /** Status startedAt. */
            startedAt: (number|Long);

            /** Status ready. */
            ready: boolean;

            /** Status problems. */
            problems: string[];

            /** Status network. */
            network?: (twill.v1.Network.$Properties|null);

            /** Status underlay. */
            underlay?: (twill.v1.Underlay.$Properties|null);

            /** Status lease. */
            lease?: (twill.v1.Lease.$Properties|null);

            /** Status dataplane. */
            dataplane?: (twill.v1.Dataplane.$Properties|null);

            /** Status etcd. */
            etcd?: (twill.v1.Etcd.$Properties|null);

            /** Status peers. */
            peers: twill.v1.Peer.$Properties[];

            /**
             * Encodes the specified Status message. Does not implicitly {@link twill.v1.Status.verify|verify} messages.
             * @param message Status message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.Status.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Status message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.Status & twill.v1.Status.$Shape} Status
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.Status & twill.v1.Status.$Shape;
        }

        namespace Status {

            /** Properties of a Status. */
            interface $Properties {

                /** Status version */
                version?: (string|null);

                /** Status node */
                node?: (twill.v1.Node.$Properties|null);

                /** Status startedAt */
                startedAt?: (number|Long|null);

                /** Status ready */
                ready?: (boolean|null);

                /** Status problems */
                problems?: (string[]|null);

                /** Status network */
                network?: (twill.v1.Network.$Properties|null);

                /** Status underlay */
                underlay?: (twill.v1.Underlay.$Properties|null);

                /** Status lease */
                lease?: (twill.v1.Lease.$Properties|null);

                /** Status dataplane */
                dataplane?: (twill.v1.Dataplane.$Properties|null);

                /** Status etcd */
                etcd?: (twill.v1.Etcd.$Properties|null);

                /** Status peers */
                peers?: (twill.v1.Peer.$Properties[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Status. */
            type $Shape = twill.v1.Status.$Properties;
        }

        /**
         * Properties of a Node.
         * @deprecated Use twill.v1.Node.$Properties instead.
         */
        interface INode extends twill.v1.Node.$Properties {
        }

        /** Represents a Node. */
        class Node {

            /**
             * Constructs a new Node.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.Node.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Node id. */
            id: string;

            /** Node name. */
            name: string;

            /**
             * Encodes the specified Node message. Does not implicitly {@link twill.v1.Node.verify|verify} messages.
             * @param message Node message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.Node.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Node message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.Node & twill.v1.Node.$Shape} Node
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.Node & twill.v1.Node.$Shape;
        }

        namespace Node {

            /** Properties of a Node. */
            interface $Properties {

                /** Node id */
                id?: (string|null);

                /** Node name */
                name?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Node. */
            type $Shape = twill.v1.Node.$Properties;
        }

        /**
         * Properties of a Network.
         * @deprecated Use twill.v1.Network.$Properties instead.
         */
        interface INetwork extends twill.v1.Network.$Properties {
        }

        /** Represents a Network. */
        class Network {

            /**
             * Constructs a new Network.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.Network.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Network networks. */
            networks: string[];

            /** Network backendType. */
            backendType: string;

            /** Network vni. */
            vni: number;

            /** Network port. */
            port: number;

            /** Network freeSubnets. */
            freeSubnets: (number|Long)[];

            /**
             * Encodes the specified Network message. Does not implicitly {@link twill.v1.Network.verify|verify} messages.
             * @param message Network message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.Network.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Network message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.Network & twill.v1.Network.$Shape} Network
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.Network & twill.v1.Network.$Shape;
        }

        namespace Network {

            /** Properties of a Network. */
            interface $Properties {

                /** Network networks */
                networks?: (string[]|null);

                /** Network backendType */
                backendType?: (string|null);

                /** Network vni */
                vni?: (number|null);

                /** Network port */
                port?: (number|null);

                /** Network freeSubnets */
                freeSubnets?: ((number|Long)[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Network. */
            type $Shape = twill.v1.Network.$Properties;
        }

        /**
         * Properties of an Underlay.
         * @deprecated Use twill.v1.Underlay.$Properties instead.
         */
        interface IUnderlay extends twill.v1.Underlay.$Properties {
        }

        /** Represents an Underlay. */
        class Underlay {

            /**
             * Constructs a new Underlay.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.Underlay.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Underlay interface. */
            interface: string;

            /** Underlay mtu. */
            mtu: number;

            /** Underlay publicIps. */
            publicIps: string[];

            /**
             * Encodes the specified Underlay message. Does not implicitly {@link twill.v1.Underlay.verify|verify} messages.
             * @param message Underlay message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.Underlay.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an Underlay message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.Underlay & twill.v1.Underlay.$Shape} Underlay
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.Underlay & twill.v1.Underlay.$Shape;
        }

        namespace Underlay {

            /** Properties of an Underlay. */
            interface $Properties {

                /** Underlay interface */
                "interface"?: (string|null);

                /** Underlay mtu */
                mtu?: (number|null);

                /** Underlay publicIps */
                publicIps?: (string[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an Underlay. */
            type $Shape = twill.v1.Underlay.$Properties;
        }

        /**
         * Properties of a Lease.
         * @deprecated Use twill.v1.Lease.$Properties instead.
         */
        interface ILease extends twill.v1.Lease.$Properties {
        }

        /** Represents a Lease. */
        class Lease {

            /**
             * Constructs a new Lease.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.Lease.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Lease key. */
            key: string;

            /** Lease subnets. */
            subnets: string[];

            /** Lease publicIps. */
            publicIps: string[];

            /** Lease backendType. */
            backendType: string;

            /** Lease dataplane. */
            dataplane: string;

            /** Lease nodeId. */
            nodeId: string;

            /** Lease nodeName. */
            nodeName: string;

            /** Lease leaseId. */
            leaseId: string;

            /** Lease expiresAt. */
            expiresAt: (number|Long);

            /** Lease own. */
            own: boolean;

            /** Lease vtepMacs. */
            vtepMacs: string[];

            /**
             * Encodes the specified Lease message. Does not implicitly {@link twill.v1.Lease.verify|verify} messages.
             * @param message Lease message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.Lease.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Lease message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.Lease & twill.v1.Lease.$Shape} Lease
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.Lease & twill.v1.Lease.$Shape;
        }

        namespace Lease {

            /** Properties of a Lease. */
            interface $Properties {

                /** Lease key */
                key?: (string|null);

                /** Lease subnets */
                subnets?: (string[]|null);

                /** Lease publicIps */
                publicIps?: (string[]|null);

                /** Lease backendType */
                backendType?: (string|null);

                /** Lease dataplane */
                dataplane?: (string|null);

                /** Lease nodeId */
                nodeId?: (string|null);

                /** Lease nodeName */
                nodeName?: (string|null);

                /** Lease leaseId */
                leaseId?: (string|null);

                /** Lease expiresAt */
                expiresAt?: (number|Long|null);

                /** Lease own */
                own?: (boolean|null);

                /** Lease vtepMacs */
                vtepMacs?: (string[]|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Lease. */
            type $Shape = twill.v1.Lease.$Properties;
        }

        /**
         * Properties of a Dataplane.
         * @deprecated Use twill.v1.Dataplane.$Properties instead.
         */
        interface IDataplane extends twill.v1.Dataplane.$Properties {
        }

        /** Represents a Dataplane. */
        class Dataplane {

            /**
             * Constructs a new Dataplane.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.Dataplane.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Dataplane name. */
            name: string;

            /** Dataplane mtus. */
            mtus: number[];

            /** Dataplane counters. */
            counters: { [k: string]: (number|Long) };

            /** Dataplane rung. */
            rung: string;

            /**
             * Encodes the specified Dataplane message. Does not implicitly {@link twill.v1.Dataplane.verify|verify} messages.
             * @param message Dataplane message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.Dataplane.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Dataplane message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.Dataplane & twill.v1.Dataplane.$Shape} Dataplane
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.Dataplane & twill.v1.Dataplane.$Shape;
        }

        namespace Dataplane {

            /** Properties of a Dataplane. */
            interface $Properties {

                /** Dataplane name */
                name?: (string|null);

                /** Dataplane mtus */
                mtus?: (number[]|null);

                /** Dataplane counters */
                counters?: ({ [k: string]: (number|Long) }|null);

                /** Dataplane rung */
                rung?: (string|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Dataplane. */
            type $Shape = twill.v1.Dataplane.$Properties;
        }

        /**
         * Properties of an Etcd.
         * @deprecated Use twill.v1.Etcd.$Properties instead.
         */
        interface IEtcd extends twill.v1.Etcd.$Properties {
        }

        /** Represents an Etcd. */
        class Etcd {

            /**
             * Constructs a new Etcd.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.Etcd.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Etcd endpoints. */
            endpoints: string[];

            /** Etcd connected. */
            connected: boolean;

            /** Etcd error. */
            error: string;

            /** Etcd since. */
            since: (number|Long);

            /**
             * Encodes the specified Etcd message. Does not implicitly {@link twill.v1.Etcd.verify|verify} messages.
             * @param message Etcd message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.Etcd.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes an Etcd message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.Etcd & twill.v1.Etcd.$Shape} Etcd
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.Etcd & twill.v1.Etcd.$Shape;
        }

        namespace Etcd {

            /** Properties of an Etcd. */
            interface $Properties {

                /** Etcd endpoints */
                endpoints?: (string[]|null);

                /** Etcd connected */
                connected?: (boolean|null);

                /** Etcd error */
                error?: (string|null);

                /** Etcd since */
                since?: (number|Long|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of an Etcd. */
            type $Shape = twill.v1.Etcd.$Properties;
        }

        /**
         * Properties of a Peer.
         * @deprecated Use twill.v1.Peer.$Properties instead.
         */
        interface IPeer extends twill.v1.Peer.$Properties {
        }

        /** Represents a Peer. */
        class Peer {

            /**
             * Constructs a new Peer.
             * @param [properties] Properties to set
             */
            constructor(properties?: twill.v1.Peer.$Properties);

            /** Unknown fields preserved while decoding when enabled */
            $unknowns?: Uint8Array[];

            /** Peer lease. */
            lease?: (twill.v1.Lease.$Properties|null);

            /** Peer state. */
            state: twill.v1.PeerState;

            /** Peer reason. */
            reason: string;

            /** Peer txPackets. */
            txPackets: (number|Long);

            /** Peer txBytes. */
            txBytes: (number|Long);

            /** Peer rxPackets. */
            rxPackets: (number|Long);

            /** Peer rxBytes. */
            rxBytes: (number|Long);

            /**
             * Encodes the specified Peer message. Does not implicitly {@link twill.v1.Peer.verify|verify} messages.
             * @param message Peer message or plain object to encode
             * @param [writer] Writer to encode to
             * @returns Writer
             */
            static encode(message: twill.v1.Peer.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

            /**
             * Decodes a Peer message from the specified reader or buffer.
             * @param reader Reader or buffer to decode from
             * @param [length] Message length if known beforehand
             * @returns {twill.v1.Peer & twill.v1.Peer.$Shape} Peer
             * @throws {Error} If the payload is not a reader or valid buffer
             * @throws {$protobuf.util.ProtocolError} If required fields are missing
             */
            static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): twill.v1.Peer & twill.v1.Peer.$Shape;
        }

        namespace Peer {

            /** Properties of a Peer. */
            interface $Properties {

                /** Peer lease */
                lease?: (twill.v1.Lease.$Properties|null);

                /** Peer state */
                state?: (twill.v1.PeerState|null);

                /** Peer reason */
                reason?: (string|null);

                /** Peer txPackets */
                txPackets?: (number|Long|null);

                /** Peer txBytes */
                txBytes?: (number|Long|null);

                /** Peer rxPackets */
                rxPackets?: (number|Long|null);

                /** Peer rxBytes */
                rxBytes?: (number|Long|null);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];
            }

            /** Shape of a Peer. */
            type $Shape = twill.v1.Peer.$Properties;
        }

        /** PeerState enum. */
        enum PeerState {

            /** PEER_STATE_UNSPECIFIED value */
            PEER_STATE_UNSPECIFIED = 0,

            /** PEER_STATE_IN_SYNC value */
            PEER_STATE_IN_SYNC = 1,

            /** PEER_STATE_PENDING value */
            PEER_STATE_PENDING = 2,

            /** PEER_STATE_FAILED value */
            PEER_STATE_FAILED = 3
        }
    }
}

/** Namespace grpc. */
export namespace grpc {

    /** Namespace health. */
    namespace health {

        /** Namespace v1. */
        namespace v1 {

            /**
             * Properties of a HealthCheckRequest.
             * @deprecated Use grpc.health.v1.HealthCheckRequest.$Properties instead.
             */
            interface IHealthCheckRequest extends grpc.health.v1.HealthCheckRequest.$Properties {
            }

            /** Represents a HealthCheckRequest. */
            class HealthCheckRequest {

                /**
                 * Constructs a new HealthCheckRequest.
                 * @param [properties] Properties to set
                 */
                constructor(properties?: grpc.health.v1.HealthCheckRequest.$Properties);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];

                /** HealthCheckRequest service. */
                service: string;

                /**
                 * Encodes the specified HealthCheckRequest message. Does not implicitly {@link grpc.health.v1.HealthCheckRequest.verify|verify} messages.
                 * @param message HealthCheckRequest message or plain object to encode
                 * @param [writer] Writer to encode to
                 * @returns Writer
                 */
                static encode(message: grpc.health.v1.HealthCheckRequest.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

                /**
                 * Decodes a HealthCheckRequest message from the specified reader or buffer.
                 * @param reader Reader or buffer to decode from
                 * @param [length] Message length if known beforehand
                 * @returns {grpc.health.v1.HealthCheckRequest & grpc.health.v1.HealthCheckRequest.$Shape} HealthCheckRequest
                 * @throws {Error} If the payload is not a reader or valid buffer
                 * @throws {$protobuf.util.ProtocolError} If required fields are missing
                 */
                static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): grpc.health.v1.HealthCheckRequest & grpc.health.v1.HealthCheckRequest.$Shape;
            }

            namespace HealthCheckRequest {

                /** Properties of a HealthCheckRequest. */
                interface $Properties {

                    /** HealthCheckRequest service */
                    service?: (string|null);

                    /** Unknown fields preserved while decoding when enabled */
                    $unknowns?: Uint8Array[];
                }

                /** Shape of a HealthCheckRequest. */
                type $Shape = grpc.health.v1.HealthCheckRequest.$Properties;
            }

            /**
             * Properties of a HealthCheckResponse.
             * @deprecated Use grpc.health.v1.HealthCheckResponse.$Properties instead.
             */
            interface IHealthCheckResponse extends grpc.health.v1.HealthCheckResponse.$Properties {
            }

            /** Represents a HealthCheckResponse. */
            class HealthCheckResponse {

                /**
                 * Constructs a new HealthCheckResponse.
                 * @param [properties] Properties to set
                 */
                constructor(properties?: grpc.health.v1.HealthCheckResponse.$Properties);

                /** Unknown fields preserved while decoding when enabled */
                $unknowns?: Uint8Array[];

                /** HealthCheckResponse status. */
                status: grpc.health.v1.HealthCheckResponse.ServingStatus;

                /**
                 * Encodes the specified HealthCheckResponse message. Does not implicitly {@link grpc.health.v1.HealthCheckResponse.verify|verify} messages.
                 * @param message HealthCheckResponse message or plain object to encode
                 * @param [writer] Writer to encode to
                 * @returns Writer
                 */
                static encode(message: grpc.health.v1.HealthCheckResponse.$Properties, writer?: $protobuf.Writer): $protobuf.Writer;

                /**
                 * Decodes a HealthCheckResponse message from the specified reader or buffer.
                 * @param reader Reader or buffer to decode from
                 * @param [length] Message length if known beforehand
                 * @returns {grpc.health.v1.HealthCheckResponse & grpc.health.v1.HealthCheckResponse.$Shape} HealthCheckResponse
                 * @throws {Error} If the payload is not a reader or valid buffer
                 * @throws {$protobuf.util.ProtocolError} If required fields are missing
                 */
                static decode(reader: ($protobuf.Reader|Uint8Array), length?: number): grpc.health.v1.HealthCheckResponse & grpc.health.v1.HealthCheckResponse.$Shape;
            }

            namespace HealthCheckResponse {

                /** Properties of a HealthCheckResponse. */
                interface $Properties {

                    /** HealthCheckResponse status */
                    status?: (grpc.health.v1.HealthCheckResponse.ServingStatus|null);

                    /** Unknown fields preserved while decoding when enabled */
                    $unknowns?: Uint8Array[];
                }

                /** Shape of a HealthCheckResponse. */
                type $Shape = grpc.health.v1.HealthCheckResponse.$Properties;

                /** ServingStatus enum. */
                enum ServingStatus {

                    /** UNKNOWN value */
                    UNKNOWN = 0,

                    /** SERVING value */
                    SERVING = 1,

                    /** NOT_SERVING value */
                    NOT_SERVING = 2,

                    /** SERVICE_UNKNOWN value */
                    SERVICE_UNKNOWN = 3
                }
            }
        }
    }
}
